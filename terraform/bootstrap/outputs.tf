# Each output in capitals has the name of the GitHub variable that takes its value.

output "STATE_BUCKET" {
  description = "Bucket of the Terraform states."
  value       = aws_s3_bucket.state.bucket
}

output "AWS_DEPLOY_ROLE_ARN" {
  description = "Role of the workflow deploy in each environment."
  value       = { for environment, role in module.deploy_role : environment => role.arn }
}

output "AWS_PREVIEW_ROLE_ARN" {
  description = "Role of the workflow preview."
  value       = aws_iam_role.preview.arn
}

output "AWS_DRIFT_ROLE_ARN" {
  description = "Role of the workflow drift."
  value       = aws_iam_role.drift.arn
}

output "API_REPOSITORY" {
  description = "Repository of the API's image."
  value       = aws_ecr_repository.this["api"].repository_url
}

output "GRAFANA_REPOSITORY" {
  description = "Repository of Grafana's image."
  value       = aws_ecr_repository.this["grafana"].repository_url
}

output "AWS_REGION" {
  description = "Region of all resources."
  value       = var.region
}

output "github_subject_prefix" {
  description = "How the subjects of trusted tokens start. Settings, Actions, OIDC of the repository must show the same."
  value       = local.repository
}
