# Sourced by the linters that come from npm: installs them, or skips the check with a reason.
# In CI a check is not skipped, but fails.
MIN_NODE=20.19.0

skip() {
    echo "$0: skipped, because $1" >&2
    [[ -z ${CI:-} ]] && exit 0
    exit 1
}

install() {
    command -v npm >/dev/null || skip "npm is not on this machine"
    local version
    version=$(node --version)
    [[ $(printf '%s\n' "$MIN_NODE" "${version#v}" | sort -V | head -1) == "$MIN_NODE" ]] ||
        skip "Node.js is $version, and the linters need $MIN_NODE"
    if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
            skip "npm could not install the linters"
    fi
}
