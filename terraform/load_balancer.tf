# Optional: HTTPS and a stable DNS name, if domain_name or certificate_arn is set.

locals {
  load_balancers = var.certificate_arn == null && var.domain_name == null ? 0 : 1
}

resource "aws_security_group" "load_balancer" {
  count       = local.load_balancers
  name        = "${var.name}-load-balancer"
  description = "Load balancer of the API."
  vpc_id      = data.aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each          = toset(local.load_balancers == 0 ? [] : var.api_cidrs)
  security_group_id = aws_security_group.load_balancer[0].id
  description       = "HTTPS to the API."
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "redirect" {
  for_each          = toset(local.load_balancers == 0 ? [] : var.api_cidrs)
  security_group_id = aws_security_group.load_balancer[0].id
  description       = "Redirects to HTTPS."
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_api" {
  count                        = local.load_balancers
  security_group_id            = aws_security_group.load_balancer[0].id
  description                  = "Forward requests to the API."
  referenced_security_group_id = aws_security_group.task.id
  ip_protocol                  = "tcp"
  from_port                    = 8000
  to_port                      = 8000
}

resource "aws_vpc_security_group_ingress_rule" "api_from_load_balancer" {
  count                        = local.load_balancers
  security_group_id            = aws_security_group.task.id
  description                  = "The API, from the load balancer."
  referenced_security_group_id = aws_security_group.load_balancer[0].id
  ip_protocol                  = "tcp"
  from_port                    = 8000
  to_port                      = 8000
}

resource "aws_lb" "api" {
  #checkov:skip=CKV2_AWS_28:a web application firewall is an optional monthly cost
  count                      = local.load_balancers
  name                       = var.name
  load_balancer_type         = "application"
  subnets                    = local.subnet_ids
  security_groups            = [aws_security_group.load_balancer[0].id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  idle_timeout               = 60

  # The bucket is the bootstrap's. It shows what never reached the API, which logs its own requests.
  access_logs {
    bucket  = "${var.name}-load-balancer-logs-${local.account_id}"
    enabled = true
  }

  lifecycle {
    precondition {
      condition     = length(local.subnet_ids) >= 2
      error_message = "subnet_ids: a load balancer needs subnets in at least two zones."
    }
  }
}

resource "aws_lb_target_group" "api" {
  #checkov:skip=CKV_AWS_378:traffic inside the VPC is plain HTTP
  count       = local.load_balancers
  name_prefix = "tasks-"
  port        = 8000
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = data.aws_vpc.this.id
  # Shorter than the API's stopTimeout.
  deregistration_delay = 20

  # Not /readyz: an outage of DynamoDB must not remove every target.
  health_check {
    path                = "/livez"
    interval            = 10
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }

  # A target group in use cannot be deleted, so its replacement comes first, and needs another name.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "https" {
  count             = local.load_balancers
  load_balancer_arn = aws_lb.api[0].arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.domain_name == null ? var.certificate_arn : aws_acm_certificate_validation.this[0].certificate_arn
  # The API sets it only where it serves TLS itself.
  routing_http_response_strict_transport_security_header_value = "max-age=31536000"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api[0].arn
  }
}

# For people who type the name. A client that sends its API key here has already exposed it.
resource "aws_lb_listener" "redirect" {
  count             = local.load_balancers
  load_balancer_arn = aws_lb.api[0].arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}
