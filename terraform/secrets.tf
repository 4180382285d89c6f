# Write-only arguments: the values never appear in a plan or a state.

resource "aws_ssm_parameter" "cursor_secret" {
  #checkov:skip=CKV_AWS_337:encrypted with the AWS managed key, which is free
  name             = "/${var.name}/cursor-secret"
  description      = "Secret that signs page cursors."
  type             = "SecureString"
  value_wo         = var.cursor_secret
  value_wo_version = var.secrets_version
}

# For the first deployment, and to regain access if all admin keys are lost.
resource "aws_ssm_parameter" "bootstrap_key" {
  #checkov:skip=CKV_AWS_337:encrypted with the AWS managed key, which is free
  count            = var.bootstrap_key_version == 0 ? 0 : 1
  name             = "/${var.name}/bootstrap-key"
  description      = "API key that can call only /v1/keys, to create the first key."
  type             = "SecureString"
  value_wo         = var.bootstrap_key
  value_wo_version = var.bootstrap_key_version
}

# For HTTPS on the ECS task itself, without a load balancer.
resource "aws_ssm_parameter" "tls" {
  #checkov:skip=CKV_AWS_337:encrypted with the AWS managed key, which is free
  for_each         = toset(var.tls_version == 0 ? [] : ["certificate", "key"])
  name             = "/${var.name}/tls-${each.key}"
  description      = "TLS ${each.key} of the API, as PEM text."
  type             = "SecureString"
  value_wo         = each.key == "key" ? var.tls_key : var.tls_certificate
  value_wo_version = var.tls_version
}

resource "aws_ssm_parameter" "grafana_admin_password" {
  #checkov:skip=CKV_AWS_337:encrypted with the AWS managed key, which is free
  name             = "/${var.name}/grafana-admin-password"
  description      = "Password of Grafana's user admin."
  type             = "SecureString"
  value_wo         = var.grafana_admin_password
  value_wo_version = var.secrets_version
}

resource "aws_ssm_parameter" "alert_webhook_url" {
  #checkov:skip=CKV_AWS_337:encrypted with the AWS managed key, which is free
  count            = local.alertmanagers
  name             = "/${var.name}/alert-webhook-url"
  description      = "Webhook that receives alerts."
  type             = "SecureString"
  value_wo         = var.alert_webhook_url
  value_wo_version = var.secrets_version
}

resource "aws_ssm_parameter" "watchdog_webhook_url" {
  #checkov:skip=CKV_AWS_337:encrypted with the AWS managed key, which is free
  count            = local.alertmanagers
  name             = "/${var.name}/watchdog-webhook-url"
  description      = "Webhook that raises an alarm when calls stop."
  type             = "SecureString"
  value_wo         = var.watchdog_webhook_url
  value_wo_version = var.secrets_version
}
