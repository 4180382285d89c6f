# Optional: the certificate of domain_name, and the name itself, in a hosted zone of Route 53.

locals {
  domains = var.domain_name == null ? 0 : 1
}

resource "aws_acm_certificate" "this" {
  count             = local.domains
  domain_name       = var.domain_name
  validation_method = "DNS"

  # A certificate in use cannot be deleted.
  lifecycle {
    create_before_destroy = true
  }
}

# AWS renews the certificate as long as this record exists.
resource "aws_route53_record" "validation" {
  count           = local.domains
  zone_id         = var.hosted_zone_id
  name            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.this[0].domain_validation_options).resource_record_value]
  ttl             = 60
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count                   = local.domains
  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = aws_route53_record.validation[*].fqdn
}

resource "aws_route53_record" "api" {
  count   = local.domains
  zone_id = var.hosted_zone_id
  name    = var.domain_name
  type    = "A"

  alias {
    name                   = aws_lb.api[0].dns_name
    zone_id                = aws_lb.api[0].zone_id
    evaluate_target_health = false
  }
}
