#!/bin/sh
# Measures the base and the three adapters on all three test sets and the general one; then the tables and the READMEs.
#   benchmarks/domains/evaluate.sh          from the repository's root; some minutes on 2 cores; Python 3.11 beside Java
set -eu
out=benchmarks/results/domains
./chorale eval \
  --adapter legal=adapters/legal --adapter medical=adapters/medical --adapter code=adapters/code \
  --test legal=adapters/legal/data/test.jsonl --test medical=adapters/medical/data/test.jsonl \
  --test code=adapters/code/data/test.jsonl --task benchmarks/eval/general.yaml \
  --train-data adapters/legal/data/train.jsonl --train-data adapters/medical/data/train.jsonl \
  --train-data adapters/code/data/train.jsonl \
  --max-new-tokens 64 --allow-code-execution --title "Base and domain adapters" --out "$out" "$@"
gzip -9nf "$out/documents.jsonl"
python3 benchmarks/domains/table.py --write
