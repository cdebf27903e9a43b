#!/bin/sh
# Measures each CPU kernel against what this machine can do and writes one JSON result.
#   run.sh [passes, default 9] [output file]
# Wants a C++ compiler and Linux on x86-64; builds below target/micro. Leave the machine alone meanwhile.
set -eu

root=$(CDPATH='' cd -- "$(dirname "$0")/../.." && pwd)
passes=${1:-9}
build=$root/target/micro
compiler=${CXX:-c++}
mkdir -p "$build"
jobs=
for source in "$root"/src/main/cpp/*.cpp "$root/benchmarks/micro/micro.cpp"; do
  name=$(basename "$source" .cpp)
  case $name in jni*) continue ;; esac
  "$compiler" -std=c++17 -O3 -fPIC -pthread -ffp-contract=off -fno-math-errno -Wall -Wextra \
    -Wno-maybe-uninitialized -Wno-uninitialized -I"$root/src/main/cpp" -I"$root/src/test/cpp" \
    -c "$source" -o "$build/$name.o" &
  jobs="$jobs $!"
done
for job in $jobs; do wait "$job"; done
"$compiler" -pthread "$build"/*.o -ldl -o "$build/micro"

processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
cores=$(nproc)
out=${2:-$root/benchmarks/results/$(date -u +%F)-micro-$(echo "$processor" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-' | cut -c1-24)-${cores}c.json}
sets=avx2
grep -q avx512_vnni /proc/cpuinfo && sets="avx512 avx2"
{
  printf '{"date": "%s", "processor": "%s", "cores": %s, "load_before": %s, "commit": "%s", "runs": [\n' "$(date -u +%F)" \
    "$processor" "$cores" "$(cut -d' ' -f1 /proc/loadavg)" "$(git -C "$root" rev-parse --short HEAD)"
  comma=
  for set in $sets; do
    for threads in 1 2; do
      [ "$threads" -gt "$cores" ] && continue
      printf '%s' "$comma"
      "$build/micro" "$set" "$threads" "$passes"
      comma=,
    done
  done
  printf ']}\n'
} > "$out.new"
mv "$out.new" "$out"
python3 "$root/benchmarks/micro/table.py" "$out"
