#!/usr/bin/env bash
# Waits until the workflow ci of a commit on main has ended, and fails unless it passed: wait_for_ci.sh SHA
set -euo pipefail
sha=${1:?"usage: wait_for_ci.sh SHA"}
path="repos/$GITHUB_REPOSITORY/actions/workflows/ci.yml/runs?head_sha=$sha&event=push&branch=main"

# The job's timeout ends the loop.
while true; do
    result=$(gh api "$path" --jq '.workflow_runs[0] | "\(.status) \(.conclusion)"')
    case $result in
        'completed success') break ;;
        completed*)
            echo "::error::ci of $sha ended with ${result#completed }. It must pass before a deployment."
            exit 1
            ;;
    esac
    echo "ci of $sha: ${result% *}"
    sleep "${POLL_SECONDS:-30}"
done
echo "ci of $sha passed"
