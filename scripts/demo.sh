#!/bin/sh
# From a float network to checked .espdl files: quantizes examples/gesture for the ESP32-S3 into build/demo, and compares
# the three strategies.
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
step quantize "$example/gesture.onnx" --calib "$example/calib.npz" --data "$example/test.npz" --target esp32s3 --out "$out"
step inspect "$model"
step verify "$model"
step evaluate "$model" --data "$example/test.npz" --reference "$example/gesture.onnx"
step compare "$example/gesture.onnx" --calib "$example/calib.npz" --data "$example/test.npz" --recipe int8,mixed,balanced \
  --target esp32s3 --out "$out"
echo
ls -l "$out" "$out"/gesture_*
