# Amazon Managed Service for Prometheus stores the series of all ECS tasks for many days, so it also
# evaluates the burn rates over long windows.

locals {
  workspaces = var.monitoring_backend == "amp" ? 1 : 0
  long_lived_rules = {
    for path in fileset(local.prometheus_directory, "long-lived/*.yaml") :
    trimsuffix(basename(path), ".yaml") => file("${local.prometheus_directory}/${path}")
    if !endswith(path, "_test.yaml")
  }
}

resource "aws_prometheus_workspace" "this" {
  #checkov:skip=CKV_AWS_196:series contain no secrets, and AWS encrypts them with a key it owns
  count = local.workspaces
  alias = var.name
}

resource "aws_prometheus_rule_group_namespace" "this" {
  for_each     = local.workspaces == 0 ? {} : merge(local.rules, local.long_lived_rules)
  name         = each.key
  workspace_id = aws_prometheus_workspace.this[0].id
  # AMP knows no external labels.
  data = replace(each.value, "{{ $externalLabels.runbook }}", coalesce(var.runbook_url, "monitoring/runbook.md"))
}
