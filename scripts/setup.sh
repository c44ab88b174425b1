#!/bin/sh
# Installs what building espquant needs on Debian 12; does nothing when all is there.
set -eu

packages="cmake g++ ninja-build pkg-config ccache
  libdnnl-dev libeigen3-dev libtbb-dev libhwy-dev libprotobuf-dev protobuf-compiler
  libflatbuffers-dev flatbuffers-compiler libopencv-imgproc-dev libjpeg62-turbo-dev libpng-dev
  libcli11-dev libfmt-dev nlohmann-json3-dev libtomlplusplus-dev zlib1g-dev libsqlite3-dev libssl-dev
  libgtest-dev libbenchmark-dev
  pybind11-dev python3-dev python3-numpy python3-pytest"

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "setup.sh: these packages are missing, and neither root nor sudo is at hand:$missing" >&2
    exit 1
  }
  as_root=sudo
fi
echo "setup.sh: installing$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086  # one word per package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
