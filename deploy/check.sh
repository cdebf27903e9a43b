#!/usr/bin/env bash
# Checks what lies here with every tool that is at hand, and says which were not.
#   METRICS_URL=http://127.0.0.1:8000/metrics   also asks a running server, used at least once, for every
#                                               metric; with a `prometheus` program, scrapes it and asks
#                                               every panel's query
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
prometheus_pid=
trap '[ -z "$prometheus_pid" ] || kill "$prometheus_pid" 2>/dev/null || true; rm -rf "$work"' EXIT

with() { # with TOOL COMMAND...: runs the command if there is such a tool
  if command -v "$1" >/dev/null; then
    echo "deploy: ${*:2}"
    "${@:2}"
  else
    echo "deploy: NOT CHECKED, there is no $1: ${*:2}"
  fi
}

echo "deploy: dashboard and its queries"
python3 queries.py rules >"$work/panels.yml"
with promtool promtool check rules "$work/panels.yml" prometheus/rules.yml
with promtool promtool check config prometheus/prometheus.yml
with promtool promtool test rules prometheus/rules_test.yml
with yamllint yamllint --strict -c .yamllint .
with hadolint hadolint Dockerfile Dockerfile.cuda
with kubernetes-validate kubernetes-validate --strict kubernetes/chorale.yaml
with check-jsonschema check-jsonschema --builtin-schema vendor.compose-spec compose.yaml compose.cuda.yaml
with shellcheck shellcheck check.sh ../chorale ../.ci/run

if [ -n "${METRICS_URL:-}" ]; then
  python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())' \
    "$METRICS_URL" >"$work/metrics.txt"
  python3 queries.py names "$work/metrics.txt"
  if command -v prometheus >/dev/null; then
    target=${METRICS_URL#http://}
    sed -e "s#chorale:8000#${target%/metrics}#; s/scrape_interval: 5s/scrape_interval: 1s/; s/rule_files:/rule_files: []/; /- rules.yml/d" \
      prometheus/prometheus.yml >"$work/prometheus.yml"
    prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
      --web.listen-address=127.0.0.1:19090 --log.level=error &
    prometheus_pid=$!
    for _ in $(seq 30); do
      sleep 1
      python3 queries.py answers http://127.0.0.1:19090 >"$work/answers.txt" 2>&1 && break
    done
    python3 queries.py answers http://127.0.0.1:19090
  else
    echo "deploy: NOT CHECKED, there is no prometheus: panel queries against the server"
  fi
else
  echo "deploy: NOT CHECKED, METRICS_URL is not set: metric names against a running server"
fi
echo "deploy: passed"
