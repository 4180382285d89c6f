resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:logs contain no secrets, and CloudWatch encrypts them with a key it owns
  #checkov:skip=CKV_AWS_338:log_retention_days sets it; a year of request logs is expensive
  for_each          = toset(["api", "node-exporter", "prometheus", "grafana", "alertmanager"])
  name              = "/${var.name}/${each.value}"
  retention_in_days = var.log_retention_days
}

locals {
  # Non-blocking: requests never wait for CloudWatch. Lines that exceed the buffer are dropped.
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
