# With monitoring_backend = "amp", Amazon Managed Service for Prometheus (AMP) stores the series of all ECS
# tasks for many days and evaluates all rules: an error budget belongs to the service, not to one ECS task.

locals {
  workspaces = var.monitoring_backend == "amp" ? 1 : 0
  runbook    = coalesce(var.runbook_url, "monitoring/runbook.md")
  long_lived_rules = {
    for path in fileset(local.prometheus_directory, "long-lived/*.yaml") :
    trimsuffix(basename(path), ".yaml") => file("${local.prometheus_directory}/${path}")
    if !endswith(path, "_test.yaml")
  }
  # The group in each file has the file's name. sidecar.yaml is about a Prometheus that evaluates rules.
  amp_rules = {
    for concern, text in merge(local.rules, local.long_lived_rules) :
    # AMP knows no external labels.
    concern => replace(text, "{{ $externalLabels.runbook }}", local.runbook)
    if local.workspaces == 1 && concern != "sidecar"
  }
}

resource "aws_prometheus_workspace" "this" {
  #checkov:skip=CKV_AWS_196:series contain no secrets, and AWS encrypts them with a key it owns
  count = local.workspaces
  alias = var.name
}

resource "aws_prometheus_rule_group_namespace" "this" {
  for_each     = local.amp_rules
  name         = each.key
  workspace_id = aws_prometheus_workspace.this[0].id
  data         = each.value
}

# Grafana's ECS task signs its queries as this role.
resource "aws_iam_role" "grafana" {
  count                = local.workspaces
  name                 = "${var.name}-grafana"
  description          = "Queries the workspace."
  permissions_boundary = local.boundary
  assume_role_policy   = local.trust_ecs_tasks
}

resource "aws_iam_role_policy" "grafana" {
  count = local.workspaces
  name  = "series"
  role  = aws_iam_role.grafana[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "QuerySeries"
      Effect   = "Allow"
      Action   = ["aps:GetLabels", "aps:GetMetricMetadata", "aps:GetSeries", "aps:QueryMetrics"]
      Resource = aws_prometheus_workspace.this[0].arn
    }]
  })
}
