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
model="$out/gesture_int8/gesture_int8.espdl"
step inspect "$example/gesture.onnx"
step quantize "$example/gesture.onnx" --calib "$example/calib.npz" --test "$example/test.npz" --target esp32s3 --out "$out"
step inspect "$model"
step verify "$model"
step evaluate "$model" --data "$example/test.npz" --reference "$example/gesture.onnx"
echo
ls -l "$out/gesture_int8"
