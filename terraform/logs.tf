resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:logs hold no secrets, and the key that CloudWatch owns encrypts them
  #checkov:skip=CKV_AWS_338:how long is the operator's to say; a year of request lines costs
  for_each          = toset(["api", "node-exporter", "prometheus", "grafana"])
  name              = "/${var.name}/${each.value}"
  retention_in_days = var.log_retention_days
}

locals {
  # A log that CloudWatch does not take must not hold up requests; what does not fit is lost.
  logs = {
    for container, group in aws_cloudwatch_log_group.this : container => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = group.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "task"
        mode                  = "non-blocking"
        max-buffer-size       = "4m"
      }
    }
  }
}
