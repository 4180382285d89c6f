# Written, and never read back: the values are in neither plan nor state.

resource "aws_ssm_parameter" "cursor_secret" {
  #checkov:skip=CKV_AWS_337:the key that SSM owns encrypts it, and costs nothing
  name             = "/${var.name}/cursor-secret"
  description      = "Signs page cursors."
  type             = "SecureString"
  value_wo         = var.cursor_secret
  value_wo_version = var.secrets_version
}

# For the first deployment, and for whoever has lost every key of an administrator.
resource "aws_ssm_parameter" "bootstrap_key" {
  #checkov:skip=CKV_AWS_337:the key that SSM owns encrypts it, and costs nothing
  count            = var.bootstrap_key_version == 0 ? 0 : 1
  name             = "/${var.name}/bootstrap-key"
  description      = "Opens /v1/keys, to make the first key with."
  type             = "SecureString"
  value_wo         = var.bootstrap_key
  value_wo_version = var.bootstrap_key_version
}

resource "aws_ssm_parameter" "grafana_admin_password" {
  #checkov:skip=CKV_AWS_337:the key that SSM owns encrypts it, and costs nothing
  name             = "/${var.name}/grafana-admin-password"
  description      = "Password of Grafana's admin."
  type             = "SecureString"
  value_wo         = var.grafana_admin_password
  value_wo_version = var.secrets_version
}

resource "aws_ssm_parameter" "alert_webhook_url" {
  #checkov:skip=CKV_AWS_337:the key that SSM owns encrypts it, and costs nothing
  name             = "/${var.name}/alert-webhook-url"
  description      = "Who is told of alerts."
  type             = "SecureString"
  value_wo         = var.alert_webhook_url
  value_wo_version = var.secrets_version
}

resource "aws_ssm_parameter" "watchdog_webhook_url" {
  #checkov:skip=CKV_AWS_337:the key that SSM owns encrypts it, and costs nothing
  name             = "/${var.name}/watchdog-webhook-url"
  description      = "Who notices that alerts do not arrive any more."
  type             = "SecureString"
  value_wo         = var.watchdog_webhook_url
  value_wo_version = var.secrets_version
}
