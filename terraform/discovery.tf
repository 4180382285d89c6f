# Private DNS for Prometheus and Alertmanager: addresses of ECS tasks change with every deployment, and
# Grafana and Prometheus need stable names.

resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = "${var.name}.internal"
  description = "Private names of the services of ${var.name}."
  vpc         = data.aws_vpc.this.id
}

resource "aws_service_discovery_service" "task" {
  name        = "task"
  description = "Private addresses of the ECS tasks that run the API. ECS maintains them."
  # Addresses of ECS tasks that are still stopping do not keep it from being destroyed.
  force_destroy = true

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.this.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

locals {
  prometheus_url = "http://${aws_service_discovery_service.task.name}.${aws_service_discovery_private_dns_namespace.this.name}:9090"
}
