# How the alerts that AMP evaluates reach a person: AMP's own Alertmanager publishes them to the topic of the
# alarms. Alarms of CloudWatch take the place of the watchdog: they tell that this way is broken.

locals {
  # Grouping and intervals are those of the Alertmanager beside Grafana, without the watchdog's route.
  amp_alertmanager = {
    route = { for name, value in yamldecode(file("${local.alertmanager_directory}/alertmanager.yml")).route : name => value if name != "routes" }
    receivers = [{
      name = "operators"
      sns_configs = [{
        topic_arn     = aws_sns_topic.alarms.arn
        sigv4         = { region = var.region }
        send_resolved = true
        # SNS takes at most 100 ASCII characters without line breaks.
        subject = "{{ .Status }}: {{ .CommonLabels.alertname }} ({{ .CommonLabels.severity }})"
        message = file("${local.alertmanager_directory}/message.tmpl")
      }]
    }]
  }

  amp_alarms = merge({
    series-missing = {
      description = "AMP has received no series for 5 minutes: Prometheus does not run in any ECS task, or cannot send."
      namespace   = "AWS/Usage"
      metric      = "ResourceCount"
      dimensions  = { Class = "None", Resource = "IngestionRate", ResourceId = local.workspace_id, Service = "Prometheus", Type = "Resource" }
      statistic   = "Maximum"
      breaching   = "missing"
    }
    rules-not-evaluated = {
      description = "AMP has not evaluated the rules for 5 minutes, so no alert can fire."
      namespace   = "AWS/Prometheus"
      metric      = "RuleEvaluations"
      dimensions  = { Workspace = local.workspace_id, RuleGroup = "targets;targets" }
      statistic   = "Sum"
      breaching   = "missing"
    }
    alerts-not-sent = {
      description = "AMP could not publish alerts to this topic."
      namespace   = "AWS/Prometheus"
      metric      = "AlertManagerNotificationsFailed"
      dimensions  = { Workspace = local.workspace_id }
      statistic   = "Sum"
      breaching   = "present"
    }
    }, {
    for concern in keys(local.amp_rules) : "rules-failing-${replace(concern, "_", "-")}" => {
      description = "Rules of the group ${concern} fail to evaluate in AMP, so its alerts cannot fire."
      namespace   = "AWS/Prometheus"
      metric      = "RuleEvaluationFailures"
      dimensions  = { Workspace = local.workspace_id, RuleGroup = "${concern};${concern}" }
      statistic   = "Sum"
      breaching   = "present"
    }
  })
  workspace_id = one(aws_prometheus_workspace.this[*].id)
}

resource "aws_prometheus_alert_manager_definition" "this" {
  count        = local.workspaces
  workspace_id = local.workspace_id
  definition   = yamlencode({ alertmanager_config = yamlencode(local.amp_alertmanager) })
  depends_on   = [aws_sns_topic_policy.alarms]
}

# It replaces the topic's default policy, which lets CloudWatch publish.
resource "aws_sns_topic_policy" "alarms" {
  count = local.workspaces
  arn   = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      {
        Sid       = "PublishAlerts"
        Effect    = "Allow"
        Principal = { Service = "aps.amazonaws.com" }
        Action    = ["sns:GetTopicAttributes", "sns:Publish"]
        Resource  = aws_sns_topic.alarms.arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = aws_prometheus_workspace.this[0].arn }
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      },
    ]
  })
}

resource "aws_cloudwatch_metric_alarm" "amp" {
  for_each            = { for name, alarm in local.amp_alarms : name => alarm if local.workspaces == 1 }
  alarm_name          = "${var.name}-amp-${each.key}"
  alarm_description   = "${each.value.description} ${local.runbook}#amp-alarms"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = 1
  comparison_operator = each.value.breaching == "missing" ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = each.value.breaching == "missing" ? 1 : 0
  # To AMP, a missing value is 0.
  treat_missing_data = each.value.breaching == "missing" ? "breaching" : "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
}
