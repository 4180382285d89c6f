#!/usr/bin/env bash
# Says something about the preview under a pull request, in one comment that is kept up to date:
# comment.sh NUMBER TEXT
set -euo pipefail
number=${1:?"usage: comment.sh NUMBER TEXT"} text=${2:?"usage: comment.sh NUMBER TEXT"}
# Not seen on the page; it tells this comment from others that the same bot writes.
mark='<!-- preview -->'

earlier=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$number/comments" --jq \
    '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith("<!-- preview -->"))) | .id')
if [[ -n $earlier ]]; then
    path="issues/comments/${earlier%%$'\n'*}" method=PATCH
else
    path="issues/$number/comments" method=POST
fi
gh api --silent --method "$method" "repos/$GITHUB_REPOSITORY/$path" --raw-field body="$mark"$'\n'"$text"
