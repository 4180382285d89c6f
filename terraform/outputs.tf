output "api" {
  description = "Where the API answers."
  value       = var.certificate_arn == null ? "http on port 8000 of the task's public address: terraform/scripts/addresses.py" : "https://${aws_lb.api[0].dns_name}, by the name that the certificate is for"
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
  description = "Where Grafana finds Prometheus, from inside of the VPC."
  value       = local.prometheus_url
}

output "grafana_password_command" {
  description = "Reads the password of Grafana's admin."
  value       = "aws ssm get-parameter --with-decryption --query Parameter.Value --output text --name ${aws_ssm_parameter.grafana_admin_password.name}"
}
