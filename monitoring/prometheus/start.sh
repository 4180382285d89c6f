#!/bin/sh
# Writes the configuration that the environment carries, and becomes Prometheus. It runs in the one
# directory that it may write to: /prometheus in the image, which is its working directory.
set -eu
rm -rf conf
mkdir -p conf/rules
printf '%s' "$PROMETHEUS_CONFIG" > conf/prometheus.yml
# A rule file is gzipped, because a parameter holds 4 KB.
env | sed -n 's/^PROMETHEUS_RULES_\([A-Z]*\)=.*/\1/p' | while read -r concern; do
    file=conf/rules/$(echo "$concern" | tr '[:upper:]' '[:lower:]').yaml
    eval "printf '%s' \"\$PROMETHEUS_RULES_$concern\"" | base64 -d | gunzip > "$file"
done
# ECS names the task in the address of its metadata; where one backend hears several tasks, series
# carry it as a label.
address=${ECS_CONTAINER_METADATA_URI_V4:-}
address=${address##*/}
export TASK_ID="${address%-*}"
# Prometheus itself would run without a rule file that did not arrive, and say nothing.
promtool check config conf/prometheus.yml
# Six hours are the longest window that a rule looks back; the size is what ends a day of scrapes
# early on a small disk. As process 1 it is told to stop, and writes down what it has.
exec prometheus \
    --config.file=conf/prometheus.yml \
    --storage.tsdb.path=data \
    --storage.tsdb.retention.time=1d \
    --storage.tsdb.retention.size=1GB \
    "$@"
