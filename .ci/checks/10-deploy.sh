# deploy/: linters and schemas, installed where they are missing.
set -euo pipefail
missing=()
command -v promtool >/dev/null || missing+=(prometheus)
command -v shellcheck >/dev/null || missing+=(shellcheck)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
if [ ! -x target/lint/bin/yamllint ]; then
  python3 -m venv target/lint
  target/lint/bin/pip install -q -r .ci/checks/lint-requirements.txt
fi
PATH=$PWD/target/lint/bin:$PATH deploy/check.sh
