variable "stack" {
  description = "Prefix of the names of the stack's resources."
  type        = string
}

variable "environment" {
  description = "Environment of GitHub, which is also the name of the stack's state."
  type        = string
}

variable "region" {
  description = "AWS region of the stack."
  type        = string
}

variable "trust" {
  description = "Trust policy of the role, as JSON."
  type        = string
}

variable "state_bucket_arn" {
  description = "ARN of the bucket of the Terraform states."
  type        = string
}

variable "repository_arns" {
  description = "ARNs of the image repositories."
  type        = list(string)
}

variable "hosted_zone_arns" {
  description = "ARNs of the hosted zones in which the role may write."
  type        = list(string)
}

variable "arn" {
  description = "Start of all ARNs: arn and the partition."
  type        = string
}

variable "region_and_account" {
  description = "Region and account id, as ARNs contain them."
  type        = string
}

variable "account_id" {
  description = "Account id."
  type        = string
}

output "arn" {
  description = "ARN of the role."
  value       = aws_iam_role.this.arn
}
