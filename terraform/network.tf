# Security groups. Everything runs in public subnets: a NAT gateway would cost more than the ECS task.

data "aws_vpcs" "default" {
  count = var.vpc_id == null ? 1 : 0

  filter {
    name   = "is-default"
    values = ["true"]
  }

  lifecycle {
    postcondition {
      condition     = length(self.ids) == 1
      error_message = "The account has no default VPC in ${var.region}. Create one with `aws ec2 create-default-vpc --region ${var.region}`, or set vpc_id and subnet_ids."
    }
  }
}

data "aws_vpc" "this" {
  id = var.vpc_id == null ? data.aws_vpcs.default[0].ids[0] : var.vpc_id

  lifecycle {
    postcondition {
      condition     = self.enable_dns_support && self.enable_dns_hostnames
      error_message = "The VPC ${self.id} resolves no private names, so Grafana would not find Prometheus. Run `aws ec2 modify-vpc-attribute --vpc-id ${self.id} --enable-dns-hostnames`, and the same with --enable-dns-support."
    }
  }
}

data "aws_subnets" "this" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.this.id]
  }

  lifecycle {
    postcondition {
      condition     = length(self.ids) > 0
      error_message = "The VPC has no subnets. Set vpc_id and subnet_ids to a VPC with subnets that have a route to the internet."
    }

    postcondition {
      condition     = length(setsubtract(var.subnet_ids, self.ids)) == 0
      error_message = "subnet_ids: not in the VPC ${data.aws_vpc.this.id}: ${join(", ", setsubtract(var.subnet_ids, self.ids))}."
    }
  }
}

locals {
  subnet_ids = length(var.subnet_ids) > 0 ? var.subnet_ids : data.aws_subnets.this.ids
}

resource "aws_security_group" "task" {
  name        = "${var.name}-task"
  description = "ECS task: API, node-exporter and Prometheus."
  vpc_id      = data.aws_vpc.this.id
}

resource "aws_security_group" "grafana" {
  name        = "${var.name}-grafana"
  description = "Grafana."
  vpc_id      = data.aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "api" {
  # With a load balancer, the port is open to the load balancer only.
  for_each          = toset(local.load_balancers == 0 ? var.api_cidrs : [])
  security_group_id = aws_security_group.task.id
  description       = "The API."
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
  description                  = "Prometheus, from Grafana."
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
  description       = "Plain HTTP to Grafana."
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
  description       = "AWS APIs, image registries and webhooks."
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

data "aws_route_tables" "this" {
  count  = var.dynamodb_endpoint ? 1 : 0
  vpc_id = data.aws_vpc.this.id
}

resource "aws_vpc_endpoint" "dynamodb" {
  count             = var.dynamodb_endpoint ? 1 : 0
  vpc_id            = data.aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.dynamodb"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = data.aws_route_tables.this[0].ids
}
