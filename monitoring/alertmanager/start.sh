#!/bin/sh
# Writes the configuration from the environment, then starts Alertmanager. Runs in /alertmanager, the
# image's working directory and the only writable one.
set -eu
# The file will contain secrets.
umask 077

# Replaces a variable in a quoted YAML string, or removes its line if the variable is empty.
fill() {
    if [ -n "$2" ]; then
        sed "s|\\\$$1|$(printf '%s' "$2" | sed "s/[&|\\\\]/\\\\&/g; s/'/''/g")|"
    else
        sed "/\\\$$1/d"
    fi
}

printf '%s\n' "$ALERTMANAGER_CONFIG" |
    fill ALERT_WEBHOOK_URL "${ALERT_WEBHOOK_URL:-}" |
    fill WATCHDOG_WEBHOOK_URL "${WATCHDOG_WEBHOOK_URL:-}" > alertmanager.yml
# Debian's package calls it prometheus-alertmanager. There is one Alertmanager, so no cluster.
exec "$(command -v alertmanager || command -v prometheus-alertmanager)" \
    --config.file=alertmanager.yml \
    --storage.path=data \
    --cluster.listen-address= \
    "$@"
