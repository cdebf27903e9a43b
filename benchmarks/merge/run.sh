#!/bin/sh
# What a merge into 4 bits keeps of an adapter. Trains on the same rows and steps for serving unmerged and for each merge, once with the
# usual rate and once for a small update, merges, measures all on held-out rows through the engine, and writes the table in README.md.
#
#   benchmarks/merge/run.sh        half an hour on 2 cores; Python 3.11 beside Java
#
#   BASE     a Q4_1 base (default: the one that serve takes)      RUNS   folder for what is made (default runs/merge); adapters that lie
#   CHORALE  the launcher (default ./chorale)                            there are taken, not trained again
#   STEPS    optimizer steps of 8 rows (default 60)               LIMIT  only so many held-out rows (default: all)
set -eu
cd "$(dirname "$0")/../.."
chorale=${CHORALE:-./chorale}
runs=${RUNS:-runs/merge}
steps=${STEPS:-60}
base=${BASE:+--model $BASE}
mkdir -p "$runs"

train() { # name, steps, learning rate, further flags
  name=$1 count=$2 lr=$3; shift 3
  [ -f "$runs/$name/chorale.json" ] && return
  # shellcheck disable=SC2086
  $chorale train --config benchmarks/merge/recipe.yaml $base --name "$name" --out "$runs/$name" --run-dir "$runs/$name.run" --force \
    --batch-size 8 --max-steps "$count" --lr "$lr" --save-dtype f32 --samples 0 "$@"
}

others=
merge() { # adapter, merged file's name, format, flags
  from=$1 name=$2 format=$3; shift 3
  file=$runs/$name
  [ "$format" = nf4 ] || file=$file.gguf
  # shellcheck disable=SC2086
  $chorale merge "$runs/$from" $base --to "$format" --out "$file" --force "$@" > "$runs/$name.txt"
  others="$others --model $name=$file"
}

train usual "$steps" 5e-4
train usual-for-q4_1 "$steps" 5e-4 --merge-aware q4_1
train small "$((steps / 3))" 5e-5
train small-for-q4_1 "$((steps / 3))" 5e-5 --merge-aware q4_1
train usual-for-q4_0 "$steps" 5e-4 --merge-aware q4_0
train usual-for-nf4 "$steps" 5e-4 --merge-aware nf4

for size in usual small; do
  merge $size $size.f16 gguf-f16
  merge $size $size.q4_1.refit gguf-q4_1 --rounding refit
  merge $size $size.q4_1.keep gguf-q4_1 --rounding keep
  merge $size $size.q4_1.dither gguf-q4_1 --rounding dither
  merge $size-for-q4_1 $size.q4_1.aware gguf-q4_1
done
merge usual usual.q4_0.refit gguf-q4_0
merge usual-for-q4_0 usual.q4_0.aware gguf-q4_0
merge usual usual.nf4.refit nf4
merge usual-for-nf4 usual.nf4.aware nf4

# shellcheck disable=SC2086
$chorale eval $base --adapter usual="$runs/usual" --adapter small="$runs/small" $others \
  --answer-loss legal=adapters/legal/data/eval.jsonl --limit "${LIMIT:-0}" --title "Merged into 4 bits" --out "$runs/report"
python3 benchmarks/merge/table.py "$runs" --steps "$steps" --write
