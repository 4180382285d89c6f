output "api" {
  description = "Address of the API."
  value = (
    var.domain_name != null ? "https://${var.domain_name}" :
    var.certificate_arn != null ? "https, at the name in the certificate, which must point to ${aws_lb.api[0].dns_name}" :
    "${local.scheme} on port 8000 of the ECS task's public address, which terraform/scripts/addresses.py prints"
  )
}

output "cluster" {
  description = "Name of the ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "table_name" {
  description = "Name of the DynamoDB table."
  value       = module.tasks_table.name
}

output "prometheus_url" {
  description = "Address of Prometheus inside the VPC, for Grafana."
  value       = local.prometheus_url
}

output "grafana_password_command" {
  description = "Command that prints the password of Grafana's user admin."
  value       = "aws ssm get-parameter --with-decryption --query Parameter.Value --output text --name ${aws_ssm_parameter.grafana_admin_password.name}"
}
