# A task's public address changes with every deployment, so Grafana finds Prometheus by a name.

resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = "${var.name}.internal"
  description = "Names for the tasks of ${var.name}."
  vpc         = data.aws_vpc.this.id
}

resource "aws_service_discovery_service" "task" {
  name        = "task"
  description = "The private addresses of the API's tasks; ECS keeps them."

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
