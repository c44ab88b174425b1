#!/bin/sh
# From a float network to a checked .espdl: quantizes examples/gesture for the ESP32-S3 into build/demo.
set -eu
cd "$(dirname "$0")/.."

scripts/build.sh espquant
example=examples/gesture
out=build/demo
mkdir -p "$out"

step() {
  echo
  echo "\$ espquant $*"
  build/espquant "$@"
}
step inspect "$example/gesture.onnx"
step quantize "$example/gesture.onnx" --calib "$example/calib.npz" --target esp32s3 --out "$out"
step inspect "$out/gesture.espdl"
step verify "$out/gesture.espdl"
step evaluate "$out/gesture.espdl" --data "$example/test.npz"
echo
ls -l "$out"
