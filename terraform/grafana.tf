# Grafana, a service of its own: it outlives deployments of the API. It keeps nothing: data source,
# dashboards and alerting are in its image.

resource "aws_ecs_task_definition" "grafana" {
  family                   = "${var.name}-grafana"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn
  container_definitions    = jsonencode([local.grafana])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "ARM64"
  }

  volume {
    name = "data"
  }

  volume {
    name = "tmp"
  }
}

locals {
  grafana = merge(local.container, {
    name         = "grafana"
    image        = var.grafana_image
    essential    = true
    user         = "472"
    memory       = 512
    portMappings = [{ containerPort = 3000, hostPort = 3000, protocol = "tcp" }]
    environment = [
      { name = "PROMETHEUS_URL", value = local.prometheus_url },
      # A changed secret is read at start only.
      { name = "SECRETS_VERSION", value = tostring(var.secrets_version) },
    ]
    secrets = [
      { name = "ALERT_WEBHOOK_URL", valueFrom = aws_ssm_parameter.alert_webhook_url.arn },
      { name = "GF_SECURITY_ADMIN_PASSWORD", valueFrom = aws_ssm_parameter.grafana_admin_password.arn },
      { name = "WATCHDOG_WEBHOOK_URL", valueFrom = aws_ssm_parameter.watchdog_webhook_url.arn },
    ]
    mountPoints = [
      { sourceVolume = "data", containerPath = "/var/lib/grafana", readOnly = false },
      { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
    ]
    healthCheck = {
      command     = ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/api/health"]
      interval    = 30
      timeout     = 3
      retries     = 3
      startPeriod = 60
    }
    stopTimeout      = 30
    logConfiguration = local.logs["grafana"]
  })
}

resource "aws_ecs_service" "grafana" {
  #checkov:skip=CKV_AWS_333:operators reach it by its address; a NAT gateway costs more
  name                  = "${var.name}-grafana"
  cluster               = aws_ecs_cluster.this.id
  task_definition       = aws_ecs_task_definition.grafana.arn
  desired_count         = 1
  launch_type           = "FARGATE"
  propagate_tags        = "SERVICE"
  wait_for_steady_state = true

  network_configuration {
    subnets          = data.aws_subnets.this.ids
    security_groups  = [aws_security_group.grafana.id]
    assign_public_ip = true
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [availability_zone_rebalancing]

    postcondition {
      condition     = self.task_definition == aws_ecs_task_definition.grafana.arn
      error_message = "ECS rolled Grafana's deployment back: the new task did not become healthy. Its log is in /${var.name}/grafana."
    }
  }

  depends_on = [aws_iam_role_policy.execution]
}
