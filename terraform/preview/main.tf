# One pull request's preview: the same app as a Lambda, with a small table that is deleted with it.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # A state for each pull request: init -backend-config=key=preview/<number>.tfstate
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
  description = "Begins the name of everything that is made; the stack's name, too."
  type        = string
  default     = "task-tracker"
}

variable "region" {
  description = "AWS region of everything."
  type        = string
}

variable "pull_request" {
  description = "Number of the pull request."
  type        = number

  validation {
    condition     = var.pull_request >= 1 && floor(var.pull_request) == var.pull_request
    error_message = "pull_request: its number, such as 42."
  }
}

variable "package" {
  description = "Path of the zip that runs."
  type        = string

  validation {
    condition     = fileexists(var.package)
    error_message = "package: there is no such file. Make the zip first, and give its path."
  }
}

variable "bootstrap_key" {
  description = "Opens /v1/keys and nothing else, to make the preview's keys with."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^tt_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9a-f]{64}_[0-9a-f]{8}$", var.bootstrap_key))
    error_message = "bootstrap_key: a whole key, such as TF_VAR_bootstrap_key=$(python3 terraform/scripts/new_key.py)."
  }
}

variable "public" {
  description = "Whether everybody may reach the preview, over an HTTP API, without a signature; a key it asks for in any case."
  type        = bool
  default     = false
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  preview = "${var.name}-preview-${var.pull_request}"
  # Bootstrap makes it, and the workflow may make no role without it.
  boundary = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:policy/${var.name}-preview-boundary"
}

module "tasks_table" {
  source                 = "../tasks_table"
  name                   = local.preview
  deletion_protection    = false
  point_in_time_recovery = false
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:logs hold no secrets, and the key that CloudWatch owns encrypts them
  #checkov:skip=CKV_AWS_338:a preview is forgotten when it is merged
  name              = "/aws/lambda/${local.preview}"
  retention_in_days = 3
}

resource "aws_iam_role" "this" {
  name                 = local.preview
  description          = "Of the preview of pull request ${var.pull_request}."
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
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = module.tasks_table.arn
      },
      {
        Sid      = "ListTasks"
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = "${module.tasks_table.arn}/index/*"
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
  #checkov:skip=CKV_AWS_116:it is called and answers; there is nothing to queue
  #checkov:skip=CKV_AWS_117:it needs DynamoDB alone, which is no part of a VPC
  #checkov:skip=CKV_AWS_173:both secrets in the environment are of a throwaway table, and the key that Lambda owns encrypts them
  #checkov:skip=CKV_AWS_272:the package comes from the workflow that made it
  #checkov:skip=CKV_AWS_50:one line a request tells enough of a preview
  #checkov:skip=CKV_AWS_115:new accounts have so little concurrency that none can be set aside
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
      # Of this pull request's table alone, whose tasks nobody minds: it may be known.
      CURSOR_SECRET = sha256("${local.preview}/${data.aws_caller_identity.current.account_id}")
      BUILD         = "pr-${var.pull_request}"
      # Here whoever may read the function's configuration reads it: that is how reviewers get it.
      # It is in the preview's state, too, and goes with the preview.
      BOOTSTRAP_KEY = var.bootstrap_key
    }
  }

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

# Callers sign their requests, as this account's: a preview is for reviewers.
resource "aws_lambda_function_url" "this" {
  function_name      = aws_lambda_function.this.function_name
  authorization_type = "AWS_IAM"
}

# For a reviewer without an account on AWS: no signature, and keys in its place.
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
  #checkov:skip=CKV_AWS_309:the app asks for a key itself
  count     = var.public ? 1 : 0
  api_id    = aws_apigatewayv2_api.public[0].id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.public[0].id}"
}

resource "aws_apigatewayv2_stage" "public" {
  #checkov:skip=CKV_AWS_76:the app writes a line for each request
  count       = var.public ? 1 : 0
  api_id      = aws_apigatewayv2_api.public[0].id
  name        = "$default"
  auto_deploy = true

  # Somebody else's loop is not to be paid for.
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
  description = "Where the preview answers requests with a key; unless it is public, they are signed for this account, too."
  value       = var.public ? aws_apigatewayv2_stage.public[0].invoke_url : aws_lambda_function_url.this.function_url
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}
