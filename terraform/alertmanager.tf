# Alertmanager runs beside Grafana, so it outlives the ECS tasks whose alerts it sends. AMP has its own:
# amp_alerts.tf.

locals {
  alertmanagers           = var.monitoring_backend == "sidecar" ? 1 : 0
  alertmanager_memory_mib = 96
  alertmanager_directory  = "${path.module}/../monitoring/alertmanager"
  alertmanager_address    = join("", [for service in aws_service_discovery_service.alertmanager : "${service.name}.${aws_service_discovery_private_dns_namespace.this.name}:9093"])

  alertmanager = merge(local.container, {
    name  = "alertmanager"
    image = var.alertmanager_image
    # A configuration that it refuses must fail the deployment.
    essential     = true
    restartPolicy = { enabled = true, restartAttemptPeriod = 60 }
    user          = "65534"
    memory        = local.alertmanager_memory_mib
    portMappings  = [{ containerPort = 9093, hostPort = 9093, protocol = "tcp" }]
    entryPoint    = ["/bin/sh", "-c"]
    command       = [file("${local.alertmanager_directory}/start.sh")]
    environment = [
      { name = "ALERTMANAGER_CONFIG", value = file("${local.alertmanager_directory}/alertmanager.yml") },
      { name = "GOMEMLIMIT", value = "72MiB" },
      # Secrets are read only at start. A new version starts a new ECS task.
      { name = "SECRETS_VERSION", value = tostring(var.secrets_version) },
    ]
    secrets = concat(
      [for parameter in aws_ssm_parameter.alert_webhook_url : { name = "ALERT_WEBHOOK_URL", valueFrom = parameter.arn }],
      [for parameter in aws_ssm_parameter.watchdog_webhook_url : { name = "WATCHDOG_WEBHOOK_URL", valueFrom = parameter.arn }],
    )
    # The path at which the image declares VOLUME. At any other path the mount belongs to root.
    mountPoints = [{ sourceVolume = "alertmanager", containerPath = "/alertmanager", readOnly = false }]
    healthCheck = {
      command     = ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9093/-/healthy"]
      interval    = 30
      timeout     = 3
      retries     = 3
      startPeriod = 30
    }
    stopTimeout      = 30
    logConfiguration = local.logs["alertmanager"]
  })
}

resource "aws_service_discovery_service" "alertmanager" {
  count       = local.alertmanagers
  name        = "alertmanager"
  description = "Private address of the ECS task of Grafana and Alertmanager. ECS maintains it."

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.this.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_vpc_security_group_ingress_rule" "alertmanager_from_task" {
  count                        = local.alertmanagers
  security_group_id            = aws_security_group.grafana.id
  description                  = "Alertmanager, from Prometheus."
  referenced_security_group_id = aws_security_group.task.id
  ip_protocol                  = "tcp"
  from_port                    = 9093
  to_port                      = 9093
}

resource "aws_vpc_security_group_egress_rule" "task_to_alertmanager" {
  count                        = local.alertmanagers
  security_group_id            = aws_security_group.task.id
  description                  = "Alertmanager."
  referenced_security_group_id = aws_security_group.grafana.id
  ip_protocol                  = "tcp"
  from_port                    = 9093
  to_port                      = 9093
}
