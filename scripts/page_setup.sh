#!/bin/sh
# What the tests of the page (web/) need beside a build: Node with the packages of web/package-lock.json,
# and Chromium. Installs what is missing where it can; tests that miss something are skipped and say so.
set -u
cd "$(dirname "$0")/.."

missing=""
command -v node >/dev/null || missing="nodejs npm"
command -v chromium >/dev/null || missing="$missing chromium"
if [ -n "$missing" ]; then
  as_root=""
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  # shellcheck disable=SC2086  # one word per package
  $as_root apt-get update -q &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi
if command -v npm >/dev/null && [ ! -d web/node_modules ]; then
  npm ci --prefix web --ignore-scripts --no-audit --no-fund
fi
exit 0
