# Who may talk to whom. Everything lies in public subnets: a NAT gateway would cost more than the task.

data "aws_vpc" "this" {
  id      = var.vpc_id
  default = var.vpc_id == null ? true : null
}

data "aws_subnets" "this" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.this.id]
  }

  lifecycle {
    postcondition {
      condition     = length(self.ids) > 0
      error_message = "The VPC has no subnets. Give vpc_id of one that has, with a route to the internet."
    }
  }
}

resource "aws_security_group" "task" {
  name        = "${var.name}-task"
  description = "The API, node-exporter and Prometheus."
  vpc_id      = data.aws_vpc.this.id
}

resource "aws_security_group" "grafana" {
  name        = "${var.name}-grafana"
  description = "Grafana."
  vpc_id      = data.aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "api" {
  # Behind a load balancer nobody else gets in.
  for_each          = toset(var.certificate_arn == null ? var.api_cidrs : [])
  security_group_id = aws_security_group.task.id
  description       = "The API, plain HTTP."
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 8000
  to_port           = 8000
}

resource "aws_vpc_security_group_ingress_rule" "prometheus" {
  for_each          = toset(var.prometheus_cidrs)
  security_group_id = aws_security_group.task.id
  description       = "Prometheus."
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 9090
  to_port           = 9090
}

resource "aws_vpc_security_group_ingress_rule" "prometheus_from_grafana" {
  security_group_id            = aws_security_group.task.id
  description                  = "Prometheus, asked by Grafana."
  referenced_security_group_id = aws_security_group.grafana.id
  ip_protocol                  = "tcp"
  from_port                    = 9090
  to_port                      = 9090
}

resource "aws_vpc_security_group_ingress_rule" "node_exporter" {
  for_each          = toset(var.node_exporter_cidrs)
  security_group_id = aws_security_group.task.id
  description       = "node-exporter."
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 9100
  to_port           = 9100
}

resource "aws_vpc_security_group_ingress_rule" "grafana" {
  for_each          = toset(var.grafana_cidrs)
  security_group_id = aws_security_group.grafana.id
  description       = "Grafana, plain HTTP."
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 3000
  to_port           = 3000
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = {
    task    = aws_security_group.task.id
    grafana = aws_security_group.grafana.id
  }
  security_group_id = each.value
  description       = "AWS's APIs, registries of images, and webhooks."
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "grafana_to_prometheus" {
  security_group_id            = aws_security_group.grafana.id
  description                  = "Prometheus."
  referenced_security_group_id = aws_security_group.task.id
  ip_protocol                  = "tcp"
  from_port                    = 9090
  to_port                      = 9090
}
