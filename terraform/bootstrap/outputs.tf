# By the names of the repository's variables on GitHub.

output "STATE_BUCKET" {
  description = "Bucket of the states."
  value       = aws_s3_bucket.state.bucket
}

output "AWS_DEPLOY_ROLE_ARN" {
  description = "Role of the workflow that deploys."
  value       = aws_iam_role.github["deploy"].arn
}

output "AWS_PREVIEW_ROLE_ARN" {
  description = "Role of the workflow that makes previews."
  value       = aws_iam_role.github["preview"].arn
}

output "API_REPOSITORY" {
  description = "Where the API's image is pushed to."
  value       = aws_ecr_repository.this["api"].repository_url
}

output "GRAFANA_REPOSITORY" {
  description = "Where Grafana's image is pushed to."
  value       = aws_ecr_repository.this["grafana"].repository_url
}

output "AWS_REGION" {
  description = "Region of everything."
  value       = var.region
}
