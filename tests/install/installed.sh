#!/bin/sh
# installed.sh BUILD SOURCE: installs into a prefix of its own, and builds a program against that by CMake
# and by pkg-config. Both must write the same file as the program does.
set -eu
build=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake --install "$build" --prefix "$prefix" > "$work/install.log"
lib=$(dirname "$(find "$prefix/lib" -name libespquant.so)")
export LD_LIBRARY_PATH="$lib" PKG_CONFIG_PATH="$lib/pkgconfig"

example=$source/examples/gesture
"$prefix/bin/espquant" quantize "$example/gesture.onnx" --calib "$example/calib.npz" --out "$work/program" --quiet

cmake -S "$source/tests/install/app" -B "$work/app" -DCMAKE_PREFIX_PATH="$prefix" > "$work/configure.log"
cmake --build "$work/app" > "$work/build.log" 2>&1 || { tail -n 20 "$work/build.log" >&2; exit 1; }
# shellcheck disable=SC2046  # several words
c++ -std=c++20 "$source/tests/install/app/main.cpp" $(pkg-config --cflags --libs espquant) -o "$work/app/app_pkgconfig"

for app in app_shared app_static app_pkgconfig; do
  file=$("$work/app/$app" "$example/gesture.onnx" "$example/calib.npz" "$work/$app")
  cmp "$file" "$work/program/gesture_int8/gesture_int8.espdl"
done

# Nothing of the rooms can be seen, nor of what is compiled in from elsewhere.
hidden='8espquant(3api|3job|3sim|5lower|5quant|8strategy|6passes|5espdl|3ops|4data)|6google|4toml|3fmt|8nlohmann|5Eigen'
shown=$(nm -D --defined-only "$lib/libespquant.so" | awk '{print $NF}' | grep -E "^_ZNK?($hidden)" || true)
[ -z "$shown" ] || { echo "libespquant.so shows: $shown" >&2; exit 1; }
