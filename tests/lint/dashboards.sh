#!/usr/bin/env bash
# Checks the dashboards with the types of the Grafana that ships.
set -euo pipefail
cd "$(dirname "$0")"
source npm.sh
install
cd ../..
# Below node_modules, where the imports are found.
dashboards=tests/lint/node_modules/dashboards.ts
node tests/lint/dashboards.mjs monitoring/grafana/dashboards/*.json >"$dashboards"
tests/lint/node_modules/.bin/tsc --noEmit --strict --skipLibCheck --types '' \
    --module esnext --moduleResolution bundler "$dashboards"
