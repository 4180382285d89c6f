#!/bin/sh
# Fills in the runbook's address, to which the panels of alerts refer, then starts Grafana. Without an
# address they name the file.
set -eu
rm -rf /tmp/dashboards
cp -R /etc/grafana/dashboards /tmp/dashboards
if [ -n "${RUNBOOK_URL:-}" ]; then
    address=$(printf '%s' "$RUNBOOK_URL" | sed 's/[&|\\]/\\&/g')
    find /tmp/dashboards -name '*.json' -exec sed -i "s|monitoring/runbook\.md#|$address#|g" {} +
fi
exec /run.sh "$@"
