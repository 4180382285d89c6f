# Alarms that roll a deployment back. The circuit breaker only sees ECS tasks that are not healthy; these
# see one that is healthy and fails or delays requests. They count lines of the request log, with a load
# balancer as without one. They send nothing: Prometheus alerts on the same in more detail.

locals {
  counted_requests = {
    requests = "{ $.message = \"request\" && $.route = \"/v1/*\" }"
    failed   = "{ $.message = \"request\" && $.route = \"/v1/*\" && $.status >= 500 }"
    # A bulk takes as long as its items, and changes can be waited for.
    slow = "{ $.message = \"request\" && $.route = \"/v1/*\" && $.route != \"/v1/tasks/bulk\" && $.route != \"/v1/changes*\" && $.duration_ms >= 1000 }"
  }
  # Percent of the requests.
  deployment_alarms = { failed = 5, slow = 20 }
}

resource "aws_cloudwatch_log_metric_filter" "requests" {
  for_each       = local.counted_requests
  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.this["api"].name
  pattern        = each.value

  metric_transformation {
    namespace = var.name
    name      = each.key
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "deployment" {
  for_each            = local.deployment_alarms
  alarm_name          = "${var.name}-deployment-${each.key}"
  alarm_description   = "More than ${each.value} % of at least 20 requests a minute were ${each.key} in 2 of 3 minutes. A deployment is rolled back."
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "percent"
    label       = "Percent of requests that were ${each.key}"
    expression  = "IF(requests >= 20, 100 * FILL(bad, 0) / requests, 0)"
    return_data = true
  }

  metric_query {
    id = "requests"
    metric {
      namespace   = var.name
      metric_name = aws_cloudwatch_log_metric_filter.requests["requests"].metric_transformation[0].name
      period      = 60
      stat        = "Sum"
    }
  }

  metric_query {
    id = "bad"
    metric {
      namespace   = var.name
      metric_name = aws_cloudwatch_log_metric_filter.requests[each.key].metric_transformation[0].name
      period      = 60
      stat        = "Sum"
    }
  }
}
