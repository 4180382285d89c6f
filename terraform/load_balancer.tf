# HTTPS and a name that stays, for whoever gives a certificate.

locals {
  load_balancers = var.certificate_arn == null ? 0 : 1
}

resource "aws_security_group" "load_balancer" {
  count       = local.load_balancers
  name        = "${var.name}-load-balancer"
  description = "The load balancer in front of the API."
  vpc_id      = data.aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each          = toset(local.load_balancers == 0 ? [] : var.api_cidrs)
  security_group_id = aws_security_group.load_balancer[0].id
  description       = "The API, HTTPS."
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_api" {
  count                        = local.load_balancers
  security_group_id            = aws_security_group.load_balancer[0].id
  description                  = "The API."
  referenced_security_group_id = aws_security_group.task.id
  ip_protocol                  = "tcp"
  from_port                    = 8000
  to_port                      = 8000
}

resource "aws_vpc_security_group_ingress_rule" "api_from_load_balancer" {
  count                        = local.load_balancers
  security_group_id            = aws_security_group.task.id
  description                  = "The API, asked by the load balancer."
  referenced_security_group_id = aws_security_group.load_balancer[0].id
  ip_protocol                  = "tcp"
  from_port                    = 8000
  to_port                      = 8000
}

resource "aws_lb" "api" {
  #checkov:skip=CKV_AWS_91:the API writes a line for each request
  #checkov:skip=CKV2_AWS_28:a web application firewall is the operator's choice, by the month
  #checkov:skip=CKV2_AWS_20:port 80 is closed, so that there is nothing to redirect
  count                      = local.load_balancers
  name                       = var.name
  load_balancer_type         = "application"
  subnets                    = data.aws_subnets.this.ids
  security_groups            = [aws_security_group.load_balancer[0].id]
  drop_invalid_header_fields = true
  enable_deletion_protection = true
  idle_timeout               = 60
}

resource "aws_lb_target_group" "api" {
  #checkov:skip=CKV_AWS_378:inside of the VPC it is plain HTTP
  count       = local.load_balancers
  name        = var.name
  port        = 8000
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = data.aws_vpc.this.id
  # Shorter than the task's time to stop.
  deregistration_delay = 20

  # Not /readyz: a store that is away is no reason to take every task out.
  health_check {
    path                = "/livez"
    interval            = 10
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "https" {
  count             = local.load_balancers
  load_balancer_arn = aws_lb.api[0].arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api[0].arn
  }
}
