#!/bin/sh
# Writes the configuration, then starts Prometheus. Runs in /prometheus, the image's working directory
# and the only writable one.
set -eu
rm -rf conf
if [ -n "${PROMETHEUS_CONFIG:-}" ]; then
    mkdir -p conf/rules
    printf '%s' "$PROMETHEUS_CONFIG" > conf/prometheus.yml
    # Rule files are gzipped: an SSM parameter holds 4 KB.
    env | sed -n 's/^PROMETHEUS_RULES_\([A-Z]*\)=.*/\1/p' | while read -r concern; do
        file=conf/rules/$(echo "$concern" | tr '[:upper:]' '[:lower:]').yaml
        eval "printf '%s' \"\$PROMETHEUS_RULES_$concern\"" | base64 -d | gunzip > "$file"
    done
else
    # Docker Compose mounts the files.
    cp -R /etc/prometheus conf
fi

# Replaces one of the configuration's own values, unless the new one is empty.
replace() {
    [ -z "$2" ] || sed -i "s|$1|$(printf '%s' "$2" | sed 's/[&|\\]/\\&/g')|" conf/prometheus.yml
}

replace '\[localhost:9093\]' "${ALERTMANAGER:+[$ALERTMANAGER]}"
replace ' monitoring/runbook.md$' "${RUNBOOK_URL:+ $RUNBOOK_URL}"
# The ECS task's id, from its metadata address: the label `task` where several ECS tasks report to
# one backend.
address=${ECS_CONTAINER_METADATA_URI_V4:-}
address=${address##*/}
export TASK_ID="${address%-*}"
# Prometheus itself ignores a missing rule file without an error; promtool fails.
promtool check config conf/prometheus.yml
# The longest rule window is 6 h; the size limit protects a small disk. exec makes Prometheus
# process 1, so it receives SIGTERM and saves its data.
exec prometheus \
    --config.file=conf/prometheus.yml \
    --storage.tsdb.path=data \
    --storage.tsdb.retention.time=1d \
    --storage.tsdb.retention.size=1GB \
    "$@"
