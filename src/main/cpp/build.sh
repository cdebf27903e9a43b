#!/bin/sh
# Compiles the CPU kernels into one library, if any source is newer than it.
#   build.sh <folder for the library> <folder for objects> <JDK>
# Without a compiler, or on another machine than Linux on x86-64, it says so and ends well: Chorale
# then computes with libtorch. CXX names the compiler, CHORALE_CXXFLAGS adds flags (sanitizers).
set -eu

sources=$(CDPATH='' cd -- "$(dirname "$0")" && pwd)
out=$1 objects=$2 jdk=$3
library=$out/libchorale.so
compiler=${CXX:-c++}

loud() {
  echo "[WARNING] NO NATIVE CPU KERNELS: $1; libtorch computes instead, many times slower" >&2
  exit 0
}

case $(uname -s)-$(uname -m) in
  Linux-x86_64) headers=linux ;;
  *) loud "they are built on Linux x86-64 only, this is $(uname -s) $(uname -m)" ;;
esac
command -v "$compiler" >/dev/null 2>&1 || loud "no C++ compiler '$compiler' (apt-get install g++, or set CXX)"
[ -f "$jdk/include/jni.h" ] || loud "no $jdk/include/jni.h; JAVA_HOME must be a JDK"

if [ -f "$library" ] && [ -z "$(find "$sources" -newer "$library" -type f | head -n 1)" ]; then exit 0; fi

mkdir -p "$out" "$objects"
flags="-std=c++17 -O3 -fPIC -pthread -fvisibility=hidden -Wall -Wextra -Wno-maybe-uninitialized -Wno-uninitialized"
# No contraction: a multiply and an add must round alike in every copy of a kernel.
flags="$flags -ffp-contract=off -fno-math-errno ${CHORALE_CXXFLAGS:-}"
jobs=
for source in "$sources"/*.cpp; do
  # shellcheck disable=SC2086
  "$compiler" $flags -I"$jdk/include" -I"$jdk/include/$headers" -c "$source" \
    -o "$objects/$(basename "$source" .cpp).o" &
  jobs="$jobs $!"
done
for job in $jobs; do wait "$job"; done
# shellcheck disable=SC2086
"$compiler" -shared -pthread -static-libstdc++ -static-libgcc ${CHORALE_CXXFLAGS:-} \
  "$objects"/*.o -ldl -o "$library.new"
mv "$library.new" "$library"
