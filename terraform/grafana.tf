# Grafana is a separate service, so it keeps running while the API is deployed. It stores nothing:
# data sources and dashboards are in its image.

resource "aws_ecs_task_definition" "grafana" {
  family                   = "${var.name}-grafana"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = var.grafana_memory_mib
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = one(aws_iam_role.grafana[*].arn)
  container_definitions    = jsonencode(slice([local.grafana, local.alertmanager], 0, 1 + local.alertmanagers))

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

  # Silences and what was sent.
  dynamic "volume" {
    for_each = aws_service_discovery_service.alertmanager
    content {
      name = "alertmanager"
    }
  }
}

locals {
  # Both backends are data sources of the same uid, so the dashboards are the same.
  grafana_data_source = {
    sidecar = [
      { name = "ALERTMANAGER_URL", value = "http://localhost:9093" },
      { name = "PROMETHEUS_URL", value = local.prometheus_url },
    ]
    amp = [
      { name = "AWS_REGION", value = var.region },
      { name = "GF_AUTH_SIGV4_AUTH_ENABLED", value = "true" },
      # Otherwise the plugin's process does not know where ECS has the role's credentials.
      { name = "GF_AWS_FORWARD_SETTINGS_TO_PLUGINS", value = "grafana-amazonprometheus-datasource" },
      # Only there is the plugin: its process would cost the others memory.
      { name = "GF_PATHS_PLUGINS", value = "/etc/grafana/plugins-amp" },
      { name = "GF_PATHS_PROVISIONING", value = "/etc/grafana/provisioning-amp" },
      { name = "PROMETHEUS_URL", value = join("", [for workspace in aws_prometheus_workspace.this : trimsuffix(workspace.prometheus_endpoint, "/")]) },
    ]
  }

  grafana = merge(local.container, {
    name      = "grafana"
    image     = var.grafana_image
    essential = true
    # A crash of one of the two does not end the other.
    restartPolicy = { enabled = true, restartAttemptPeriod = 60 }
    user          = "472"
    memory        = var.grafana_memory_mib - local.alertmanager_memory_mib * local.alertmanagers
    portMappings  = [{ containerPort = 3000, hostPort = 3000, protocol = "tcp" }]
    environment = concat(local.grafana_data_source[var.monitoring_backend], [
      { name = "RUNBOOK_URL", value = var.runbook_url },
      # Secrets are read only at start. A new version starts a new ECS task.
      { name = "SECRETS_VERSION", value = tostring(var.secrets_version) },
    ])
    secrets = [
      { name = "GF_SECURITY_ADMIN_PASSWORD", valueFrom = aws_ssm_parameter.grafana_admin_password.arn },
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
  #checkov:skip=CKV_AWS_333:operators reach it at its public address; a NAT gateway costs more than the ECS task
  name                  = "${var.name}-grafana"
  cluster               = aws_ecs_cluster.this.id
  task_definition       = aws_ecs_task_definition.grafana.arn
  desired_count         = 1
  launch_type           = "FARGATE"
  propagate_tags        = "SERVICE"
  wait_for_steady_state = true

  network_configuration {
    subnets          = local.subnet_ids
    security_groups  = [aws_security_group.grafana.id]
    assign_public_ip = true
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.alertmanager
    content {
      registry_arn = service_registries.value.arn
    }
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [availability_zone_rebalancing]

    postcondition {
      condition     = self.task_definition == aws_ecs_task_definition.grafana.arn
      error_message = "ECS rolled back the deployment of Grafana, because the new ECS task did not become healthy. Its log groups are /${var.name}/grafana and /${var.name}/alertmanager."
    }
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.grafana]
}
