# A backend that keeps days and sees every task: the full set of burn rates is evaluated there.

locals {
  workspaces = var.monitoring_backend == "amp" ? 1 : 0
  long_lived_rules = {
    for path in fileset(local.prometheus_directory, "long-lived/*.yaml") :
    trimsuffix(basename(path), ".yaml") => file("${local.prometheus_directory}/${path}")
    if !endswith(path, "_test.yaml")
  }
}

resource "aws_prometheus_workspace" "this" {
  #checkov:skip=CKV_AWS_196:series hold no secrets, and the key that AWS owns encrypts them
  count = local.workspaces
  alias = var.name
}

resource "aws_prometheus_rule_group_namespace" "this" {
  for_each     = local.workspaces == 0 ? {} : merge(local.rules, local.long_lived_rules)
  name         = each.key
  workspace_id = aws_prometheus_workspace.this[0].id
  data         = each.value
}
