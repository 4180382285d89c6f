# Preview of one pull request: the API as a Lambda function, with a table that is deleted with it.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # One state for each pull request: init -backend-config=key=preview/<number>.tfstate
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      project      = var.name
      pull_request = tostring(var.pull_request)
    }
  }
}

variable "name" {
  description = "Prefix of all resource names. It must equal the name of the bootstrap."
  type        = string
  default     = "task-tracker"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name)) && !can(regex("^(aws|ssm|sg-|internal-)", var.name))
    error_message = "name: 3 to 24 lowercase letters, digits and dashes, starting with a letter and not ending with a dash, for example task-tracker. AWS reserves names that start with aws, ssm, sg- or internal-."
  }
}

variable "region" {
  description = "AWS region of all resources."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: the code of an AWS region, for example eu-central-1."
  }
}

variable "pull_request" {
  description = "Number of the pull request."
  type        = number

  validation {
    condition     = var.pull_request >= 1 && floor(var.pull_request) == var.pull_request
    error_message = "pull_request: the number of a pull request, for example 42."
  }
}

variable "package" {
  description = "Path of the Lambda package (zip)."
  type        = string

  validation {
    condition     = fileexists(var.package)
    error_message = "package: no such file. Run make package ARCH=arm64 and give the path of the zip."
  }
}

variable "bootstrap_key" {
  description = "API key that can call only /v1/keys, to create keys for the preview."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^tt_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9a-f]{64}_[0-9a-f]{8}$", var.bootstrap_key))
    error_message = "bootstrap_key: a complete API key, for example TF_VAR_bootstrap_key=$(python3 terraform/scripts/new_key.py)."
  }
}

variable "public" {
  description = "Also serve the preview through an API Gateway HTTP API, without AWS signatures. API keys are always required."
  type        = bool
  default     = false
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  preview = "${var.name}-preview-${var.pull_request}"
  # Created by bootstrap/. The workflow cannot create a role without it.
  boundary = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:policy/${var.name}-preview-boundary"
}

module "tasks_table" {
  source                 = "../tasks_table"
  name                   = local.preview
  deletion_protection    = false
  point_in_time_recovery = false
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:logs contain no secrets, and CloudWatch encrypts them with a key it owns
  #checkov:skip=CKV_AWS_338:a preview lives only until its pull request is closed
  name              = "/aws/lambda/${local.preview}"
  retention_in_days = 3
}

resource "aws_iam_role" "this" {
  name                 = local.preview
  description          = "Role of the preview of pull request ${var.pull_request}."
  permissions_boundary = local.boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "preview"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadAndWriteTasks"
        Effect   = "Allow"
        Action   = ["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = module.tasks_table.arn
      },
      {
        Sid      = "ListTasksAndComments"
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = [module.tasks_table.arn, "${module.tasks_table.arn}/index/*"]
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:log-stream:*"
      },
    ]
  })
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:invocations are synchronous, so there is nothing to queue
  #checkov:skip=CKV_AWS_117:it needs only DynamoDB, which is outside the VPC
  #checkov:skip=CKV_AWS_173:its secrets protect only a throwaway table, and Lambda encrypts them with a key it owns
  #checkov:skip=CKV_AWS_272:the workflow that deploys the package also builds it
  #checkov:skip=CKV_AWS_50:request logs are enough for a preview
  #checkov:skip=CKV_AWS_115:new accounts have too little concurrency to reserve any
  function_name    = local.preview
  description      = "Preview of pull request ${var.pull_request}."
  role             = aws_iam_role.this.arn
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  handler          = "handlers.http.handler"
  runtime          = "python3.13"
  architectures    = ["arm64"]
  memory_size      = 512
  timeout          = 15

  environment {
    variables = {
      AUTH       = "on"
      TABLE_NAME = module.tasks_table.name
      # Predictable, because it protects only the cursors of a throwaway table.
      CURSOR_SECRET = sha256("${local.preview}/${data.aws_caller_identity.current.account_id}")
      BUILD         = "pr-${var.pull_request}"
      # Reviewers read it from the function's configuration. It is also in the preview's state.
      BOOTSTRAP_KEY = var.bootstrap_key
    }
  }

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

# Requests must be signed by a principal of this account.
resource "aws_lambda_function_url" "this" {
  function_name      = aws_lambda_function.this.function_name
  authorization_type = "AWS_IAM"
}

# Optional, for reviewers without AWS credentials: no signature, but API keys as always.
resource "aws_apigatewayv2_api" "public" {
  count         = var.public ? 1 : 0
  name          = local.preview
  description   = "Public preview of pull request ${var.pull_request}."
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "public" {
  count                  = var.public ? 1 : 0
  api_id                 = aws_apigatewayv2_api.public[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.this.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "public" {
  #checkov:skip=CKV_AWS_309:the API itself requires a key
  count     = var.public ? 1 : 0
  api_id    = aws_apigatewayv2_api.public[0].id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.public[0].id}"
}

resource "aws_apigatewayv2_stage" "public" {
  #checkov:skip=CKV_AWS_76:the API logs every request
  count       = var.public ? 1 : 0
  api_id      = aws_apigatewayv2_api.public[0].id
  name        = "$default"
  auto_deploy = true

  # Limits the cost of unwanted traffic.
  default_route_settings {
    throttling_rate_limit  = 20
    throttling_burst_limit = 40
  }
}

resource "aws_lambda_permission" "public" {
  count         = var.public ? 1 : 0
  statement_id  = "PublicPreview"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.public[0].execution_arn}/*/*"
}

output "url" {
  description = "Address of the preview. Unless public is true, requests need an AWS signature in addition to an API key."
  value       = var.public ? aws_apigatewayv2_stage.public[0].invoke_url : aws_lambda_function_url.this.function_url
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}
