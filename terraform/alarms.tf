# Alarms on what the ECS task cannot report: that it is not running, and DynamoDB's own errors. Those on AMP
# are in amp_alerts.tf.

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic encrypted with the AWS managed key, and alarms contain no secrets
  name = "${var.name}-alarms"
}

resource "aws_sns_topic_subscription" "email" {
  count     = var.alarm_email == null ? 0 : 1
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_metric_alarm" "not_running" {
  for_each = {
    task    = { name = aws_ecs_service.task.name, ecs_tasks = var.desired_count }
    grafana = { name = aws_ecs_service.grafana.name, ecs_tasks = 1 }
  }
  alarm_name          = "${var.name}-${each.key}-not-running"
  alarm_description   = "The service ${each.value.name} has run fewer than ${each.value.ecs_tasks} ECS tasks for 5 minutes."
  namespace           = "AWS/ECS"
  metric_name         = "CPUUtilization"
  dimensions          = { ClusterName = aws_ecs_cluster.this.name, ServiceName = each.value.name }
  statistic           = "SampleCount"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  # Each ECS task reports one sample a minute.
  threshold          = each.value.ecs_tasks
  treat_missing_data = "breaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "table_failing" {
  alarm_name          = "${var.name}-table-failing"
  alarm_description   = "DynamoDB reported system errors (HTTP 500) for the table in 3 of 5 minutes."
  namespace           = "AWS/DynamoDB"
  metric_name         = "SystemErrors"
  dimensions          = { TableName = module.tasks_table.name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
