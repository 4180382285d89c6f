# Sourced by the linters that come from npm: installs them, or skips the check with a reason.
# In CI a check is not skipped, but fails.
MIN_NODE=20.19.0

skip() {
    echo "$0: skipped, because $1" >&2
    [[ -z ${CI:-} ]] && exit 0
    exit 1
}

# Prints why Node.js cannot be used here, if it cannot.
check_node() {
    local version
    if ! command -v npm >/dev/null || ! version=$(node --version); then
        echo "npm is not installed; \`make node\` installs it into build/"
    elif [[ $(printf '%s\n' "$MIN_NODE" "${version#v}" | sort -V | head -1) != "$MIN_NODE" ]]; then
        echo "Node.js is $version, and $MIN_NODE is needed; \`make node\` installs it into build/"
    fi
}

install() {
    local problem
    problem=$(check_node)
    [[ -z $problem ]] || skip "$problem"
    if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
            skip "npm could not install the linters"
    fi
}
