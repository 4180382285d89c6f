#!/usr/bin/env bash
# Refuses to deploy to an environment that does not limit who can deploy: check_environment.sh production
#
# It must admit the branch main only and, unless REQUIRED_REVIEWERS=off, have reviewers. AWS checks the
# branch as well, in the trust policy of the role.
set -euo pipefail
environment=${1:?"usage: check_environment.sh ENVIRONMENT"}
path="repos/$GITHUB_REPOSITORY/environments/$environment"

refuse() {
    echo "::error::Environment $environment: $1 docs/operations.md has the commands."
    exit 1
}

rules=$(gh api "$path" --jq '[.deployment_branch_policy.custom_branch_policies // false,
    ([.protection_rules[]? | select(.type == "required_reviewers") | .reviewers[]] | length)] | @tsv') ||
    refuse 'it does not exist.'
read -r branches reviewers <<< "$rules"
[[ $branches == true ]] || refuse 'it admits every branch. Limit it to main.'
admitted=$(gh api "$path/deployment-branch-policies" --jq '[.branch_policies[].name] | join(" ")')
[[ $admitted == main ]] || refuse "it admits the branches \"$admitted\". Limit it to main."
[[ $reviewers -gt 0 || ${REQUIRED_REVIEWERS:-} == off ]] || refuse 'it has no reviewers.'
echo "$environment: main only, reviewers: $reviewers"
