# The role of the workflow preview, and the limit of the roles that it creates. A pull request from a branch
# of this repository controls both the workflow and the preview's Terraform files.

locals {
  preview_arns = {
    function = "${local.arn}:lambda:${local.region_and_account}:function:${var.name}-preview-*"
    logs     = "${local.arn}:logs:${local.region_and_account}:log-group:/aws/lambda/${var.name}-preview-*"
    roles    = "${local.arn}:iam::${local.account_id}:role/${var.name}-preview-*"
    table    = "${local.arn}:dynamodb:${local.region_and_account}:table/${var.name}-preview-*"
  }
}

resource "aws_iam_role" "preview" {
  name                 = "${var.name}-github-preview"
  description          = "Assumed by the GitHub workflow preview."
  assume_role_policy   = local.trust["preview"]
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "preview" {
  #checkov:skip=CKV_AWS_355:AWS supports no resource for logs:DescribeLogGroups
  name = "preview"
  role = aws_iam_role.preview.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadAndWriteState"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = "${aws_s3_bucket.state.arn}/preview/*"
      },
      {
        Sid       = "ListStates"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = aws_s3_bucket.state.arn
        Condition = { StringLike = { "s3:prefix" = "preview/*" } }
      },
      {
        # What a preview creates carries the project's tag, so that it can be found after its pull request.
        Sid       = "CreateWithTheTag"
        Effect    = "Allow"
        Action    = ["dynamodb:CreateTable", "lambda:CreateFunction"]
        Resource  = [local.preview_arns.function, local.preview_arns.table]
        Condition = { StringEquals = { "aws:RequestTag/project" = var.name } }
      },
      {
        Sid    = "ManageFunction"
        Effect = "Allow"
        Action = [
          "lambda:DeleteFunction",
          "lambda:DeleteFunctionUrlConfig",
          "lambda:GetFunction",
          "lambda:GetFunctionCodeSigningConfig",
          "lambda:GetFunctionUrlConfig",
          "lambda:InvokeFunction",
          "lambda:InvokeFunctionUrl",
          "lambda:ListVersionsByFunction",
          "lambda:TagResource",
          "lambda:UntagResource",
          "lambda:UpdateFunctionCode",
          "lambda:UpdateFunctionConfiguration",
        ]
        Resource = local.preview_arns.function
      },
      {
        # A function URL without AWS signatures is impossible.
        Sid       = "ServeSignedRequests"
        Effect    = "Allow"
        Action    = "lambda:CreateFunctionUrlConfig"
        Resource  = local.preview_arns.function
        Condition = { StringEquals = { "lambda:FunctionUrlAuthType" = "AWS_IAM" } }
      },
      {
        Sid       = "PassPreviewRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = local.preview_arns.roles
        Condition = { StringEquals = { "iam:PassedToService" = "lambda.amazonaws.com" } }
      },
      {
        # A pull request can change the role's policy, but the boundary limits what the role can do.
        Sid       = "GrantWithinBoundary"
        Effect    = "Allow"
        Action    = ["iam:CreateRole", "iam:PutRolePolicy"]
        Resource  = local.preview_arns.roles
        Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.preview_boundary.arn } }
      },
      {
        Sid    = "ManageRoles"
        Effect = "Allow"
        Action = [
          "iam:DeleteRole",
          "iam:DeleteRolePolicy",
          "iam:GetRole",
          "iam:GetRolePolicy",
          "iam:ListAttachedRolePolicies",
          "iam:ListInstanceProfilesForRole",
          "iam:ListRolePolicies",
          "iam:TagRole",
          "iam:UntagRole",
        ]
        Resource = local.preview_arns.roles
      },
      {
        Sid    = "ManageTable"
        Effect = "Allow"
        Action = [
          "dynamodb:DeleteTable",
          "dynamodb:DescribeContinuousBackups",
          "dynamodb:DescribeTable",
          "dynamodb:DescribeTimeToLive",
          "dynamodb:ListTagsOfResource",
          "dynamodb:TagResource",
          "dynamodb:UntagResource",
          "dynamodb:UpdateTable",
          "dynamodb:UpdateTimeToLive",
        ]
        Resource = [local.preview_arns.table, "${local.preview_arns.table}/index/*"]
      },
      {
        Sid    = "ManageLogs"
        Effect = "Allow"
        Action = [
          "logs:CreateLogGroup",
          "logs:DeleteLogGroup",
          "logs:ListTagsForResource",
          "logs:PutRetentionPolicy",
          "logs:TagResource",
          "logs:UntagResource",
        ]
        Resource = local.preview_arns.logs
      },
      {
        # AWS supports no resource for this action.
        Sid      = "ReadLists"
        Effect   = "Allow"
        Action   = "logs:DescribeLogGroups"
        Resource = "*"
      },
    ]
  })
}

resource "aws_iam_policy" "preview_boundary" {
  name        = "${var.name}-preview-boundary"
  description = "Maximum permissions of a preview's role."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Tasks"
        Effect   = "Allow"
        Action   = ["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
        Resource = [local.preview_arns.table, "${local.preview_arns.table}/index/*"]
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${local.preview_arns.logs}:log-stream:*"
      },
    ]
  })
}
