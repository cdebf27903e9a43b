#!/bin/sh
# What rounding costs: perplexity, divergence and favourites of the native kernels against libtorch's
# float32 arithmetic, on the same weights and a fixed text (alice.txt.gz). Writes one JSON result.
#   run.sh MODEL.gguf HF_FOLDER [tokens, default 20480] [output file]
# Both are SmolLM2-135M-Instruct in the published result. Wants a JDK and Maven, and 3 GB of memory.
set -eu

root=$(CDPATH='' cd -- "$(dirname "$0")/../.." && pwd)
[ $# -ge 2 ] || { sed -n '2,5p' "$0" >&2; exit 2; }
model=$(realpath "$1") folder=$(realpath "$2") tokens=${3:-20480}
out=${4:-$root/benchmarks/results/$(date -u +%F)-quality.json}
cd "$root"
mvn -q -DskipTests test-compile dependency:build-classpath -Dmdep.outputFile=target/test-classpath
java -Xmx3g -Dorg.bytedeco.javacpp.maxPhysicalBytes=0 -Dorg.bytedeco.javacpp.maxBytes=0 \
  -cp "target/test-classes:target/classes:$(cat target/test-classpath)" \
  io.chorale.model.QualityRun "$model" "$folder" benchmarks/quality/alice.txt.gz "$tokens" "$out"
cat "$out"
