#!/usr/bin/env bash
# Creates or updates the one comment about the preview on a pull request: comment.sh NUMBER TEXT
set -euo pipefail
number=${1:?"usage: comment.sh NUMBER TEXT"} text=${2:?"usage: comment.sh NUMBER TEXT"}
# An HTML comment, invisible on the page, that identifies the comment.
mark='<!-- preview -->'

earlier=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$number/comments" --jq \
    '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith("<!-- preview -->"))) | .id')
if [[ -n $earlier ]]; then
    path="issues/comments/${earlier%%$'\n'*}" method=PATCH
else
    path="issues/$number/comments" method=POST
fi
gh api --silent --method "$method" "repos/$GITHUB_REPOSITORY/$path" --raw-field body="$mark"$'\n'"$text"
