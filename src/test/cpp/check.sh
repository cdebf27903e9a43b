#!/bin/sh
# Builds kernels_check with sanitizers and runs it: address and undefined behaviour, then threads.
#   check.sh <folder for binaries>
# CXX names the compiler (g++ or clang++ with its sanitizer libraries).
set -eu

here=$(CDPATH='' cd -- "$(dirname "$0")" && pwd)
kernels=$here/../../main/cpp
out=$1
compiler=${CXX:-c++}
case $(uname -s)-$(uname -m) in
  Linux-x86_64) ;;
  *) echo "sanitizers: the kernels are built on Linux x86-64 only, this is $(uname -s) $(uname -m)" >&2; exit 1 ;;
esac
mkdir -p "$out"

build() { # name, flags
  folder=$out/$1
  mkdir -p "$folder"
  jobs=
  for source in "$here/kernels_check.cpp" "$kernels"/*.cpp; do
    name=$(basename "$source" .cpp)
    case $name in jni*) continue ;; esac
    # shellcheck disable=SC2086
    "$compiler" -std=c++17 -O1 -g -fno-omit-frame-pointer -pthread -ffp-contract=off -fno-math-errno \
      -Wall -Wextra -Wno-maybe-uninitialized -Wno-uninitialized $2 -I"$kernels" -c "$source" -o "$folder/$name.o" &
    jobs="$jobs $!"
  done
  for job in $jobs; do wait "$job"; done
  # shellcheck disable=SC2086
  "$compiler" -pthread $2 "$folder"/*.o -o "$folder/kernels_check"
}

build memory "-fsanitize=address,undefined -fno-sanitize-recover=all"
echo "address and undefined behaviour:"
ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 "$out/memory/kernels_check"
build threads "-fsanitize=thread"
echo "threads:"
TSAN_OPTIONS=halt_on_error=1 "$out/threads/kernels_check"
