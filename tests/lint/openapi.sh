#!/usr/bin/env bash
# Checks an OpenAPI document with Spectral and Redocly, where a warning is an error, and for changes
# that break clients.
set -euo pipefail
document=$(realpath "$1")
cd "$(dirname "$0")"
source npm.sh
install
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
bin=node_modules/.bin
"$bin/spectral" lint --quiet --fail-severity=warn --ruleset spectral.yaml "$document"
"$bin/redocly" lint --config redocly.yaml "$document" >"$document.log" 2>&1 || {
    cat "$document.log" >&2
    exit 1
}
node breaking.mjs ../../docs/openapi.json "$document" ../../CHANGELOG.md
echo "OpenAPI document: checked in $SECONDS s"
