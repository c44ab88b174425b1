#!/bin/sh
# Sets up, configures build/ by the release preset and builds: scripts/build.sh [target...]
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh
launcher=""
if command -v ccache >/dev/null; then
  export CCACHE_BASEDIR="$PWD"
  launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
cmake --preset release $launcher
[ $# -eq 0 ] || set -- --target "$@"
cmake --build build --parallel "$(nproc)" "$@"
