# Buckets for the access logs of load balancers, one for each stack. They are here, as the images are, so
# that no workflow can administer a bucket, and a destroy of the stack keeps them until they expire.

locals {
  log_buckets = {
    for environment in var.environments : environment =>
    "${environment == "production" ? var.name : "${var.name}-${environment}"}-load-balancer-logs-${local.account_id}"
  }
}

resource "aws_s3_bucket" "load_balancer_logs" {
  #checkov:skip=CKV_AWS_144:the logs expire soon
  #checkov:skip=CKV_AWS_145:load balancers can write only with a key that S3 owns
  #checkov:skip=CKV_AWS_18:it holds logs itself
  #checkov:skip=CKV_AWS_21:each object is written once
  #checkov:skip=CKV2_AWS_62:nothing reacts to new logs
  for_each = local.log_buckets
  bucket   = each.value
}

resource "aws_s3_bucket_public_access_block" "load_balancer_logs" {
  for_each                = aws_s3_bucket.load_balancer_logs
  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "load_balancer_logs" {
  for_each = aws_s3_bucket.load_balancer_logs
  bucket   = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "WriteLogs"
      Effect    = "Allow"
      Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${each.value.arn}/AWSLogs/${local.account_id}/*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "${local.arn}:elasticloadbalancing:${local.region_and_account}:loadbalancer/app/*" }
      }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.load_balancer_logs]
}

resource "aws_s3_bucket_lifecycle_configuration" "load_balancer_logs" {
  for_each = var.expire_old_states ? aws_s3_bucket.load_balancer_logs : {}
  bucket   = each.value.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.load_balancer_log_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}
