#!/usr/bin/env bash
# Asks a deployed API whether it lives and reaches its table: smoke.sh http://203.0.113.7:8000
#
# A security group drops what it does not let in. Where api_cidrs keeps this machine out, nothing
# can be said from here, and a warning says so; that the task is healthy, ECS has seen before.
set -euo pipefail
url=${1:?"usage: smoke.sh URL"}

connected=$(curl --silent --output /dev/null --connect-timeout "${CONNECT_SECONDS:-10}" --max-time 20 \
    --write-out '%{exitcode} %{time_connect}' "$url/livez" || true)
if [[ $connected == "28 0.000000" ]]; then
    message="$url lets no connection of this runner in (api_cidrs), so it was not tried from outside."
    echo "::warning::$message"
    echo "$message" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
    exit
fi
for path in livez readyz; do
    curl --fail --silent --show-error --output /dev/null --max-time 10 \
        --retry "${RETRIES:-5}" --retry-delay 3 --retry-all-errors "$url/$path"
    echo "$url/$path answers"
done
