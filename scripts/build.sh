#!/bin/sh
# Sets up, configures and builds: scripts/build.sh [target...]
# ESPQUANT_PRESET: release (default), or dev, in which warnings are errors. What the tools print goes to
# build/build.log; the end of it is shown when a step fails.
set -eu
cd "$(dirname "$0")/.."

log=build/build.log
mkdir -p build
: > "$log"

# Says what it does, and in how many seconds it was done.
step() {
  what=$1
  shift
  printf '%s ... ' "$what"
  begun=$(date +%s)
  if ! "$@" >> "$log" 2>&1; then
    printf 'failed\n\n' && tail -n 40 "$log" >&2
    echo "scripts/build.sh: '$what' failed; the whole output is in $PWD/$log" >&2
    exit 1
  fi
  printf '%s s\n' "$(($(date +%s) - begun))"
}

step "packages" scripts/setup.sh
launcher=""
if command -v ccache >/dev/null; then
  export CCACHE_BASEDIR="$PWD"
  launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
step "configuring" cmake --preset "${ESPQUANT_PRESET:-release}" $launcher
goal=everything
[ $# -eq 0 ] || { goal=$*; set -- --target "$@"; }
step "building $goal (some minutes from nothing)" cmake --build build --parallel "$(nproc)" "$@"
