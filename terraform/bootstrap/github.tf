# GitHub's workflows have no keys: they show a token that GitHub signed, and take a role for it.

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

locals {
  # Who may take a role: `environment` asks GitHub for the approvals of that environment first.
  trust = {
    for role, subject in {
      deploy  = "${var.github_subject_prefix}:environment:production"
      preview = "${var.github_subject_prefix}:pull_request"
      } : role => jsonencode({
        Version = "2012-10-17"
        Statement = [{
          Effect    = "Allow"
          Action    = "sts:AssumeRoleWithWebIdentity"
          Principal = { Federated = aws_iam_openid_connect_provider.github.arn }
          Condition = {
            StringEquals = {
              "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
              "token.actions.githubusercontent.com:sub" = subject
            }
          }
        }]
    })
  }

  here = "${var.region}:${local.account_id}"
  mine = {
    cluster       = "${local.arn}:ecs:${local.here}:cluster/${var.name}"
    services      = "${local.arn}:ecs:${local.here}:service/${var.name}/*"
    logs          = "${local.arn}:logs:${local.here}:log-group:/${var.name}/*"
    parameters    = "${local.arn}:ssm:${local.here}:parameter/${var.name}/*"
    preview_logs  = "${local.arn}:logs:${local.here}:log-group:/aws/lambda/${var.name}-preview-*"
    preview_roles = "${local.arn}:iam::${local.account_id}:role/${var.name}-preview-*"
    preview_table = "${local.arn}:dynamodb:${local.here}:table/${var.name}-preview-*"
    preview       = "${local.arn}:lambda:${local.here}:function:${var.name}-preview-*"
    roles         = [for role in ["execution", "task"] : "${local.arn}:iam::${local.account_id}:role/${var.name}-${role}"]
    table         = "${local.arn}:dynamodb:${local.here}:table/${var.name}-tasks"
    topic         = "${local.arn}:sns:${local.here}:${var.name}-alarms"
  }

  table_actions = [
    "dynamodb:CreateTable",
    "dynamodb:DeleteTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:ListTagsOfResource",
    "dynamodb:TagResource",
    "dynamodb:UntagResource",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
  ]
  # These two can give a role more than it had.
  granting_actions = ["iam:CreateRole", "iam:PutRolePolicy"]
  role_actions = [
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRoleDescription",
  ]
  log_actions = [
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
    "logs:ListTagsForResource",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
    "logs:UntagResource",
  ]
}

resource "aws_iam_role" "github" {
  for_each             = local.trust
  name                 = "${var.name}-github-${each.key}"
  description          = "Taken by GitHub's workflow ${each.key}."
  assume_role_policy   = each.value
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "deploy" {
  #checkov:skip=CKV_AWS_355:the actions with * take no resource; each says so beside it
  #checkov:skip=CKV_AWS_290:security groups and namespaces get their ids when they are made
  #checkov:skip=CKV_AWS_287:signing in to ECR is what it is for
  name = "deploy"
  role = aws_iam_role.github["deploy"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "KeepState"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = ["${aws_s3_bucket.state.arn}/stack.tfstate", "${aws_s3_bucket.state.arn}/stack.tfstate.tflock"]
      },
      {
        Sid      = "FindState"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = aws_s3_bucket.state.arn
      },
      {
        Sid    = "PushImages"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability",
          "ecr:BatchGetImage",
          "ecr:CompleteLayerUpload",
          "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer",
          "ecr:InitiateLayerUpload",
          "ecr:PutImage",
          "ecr:UploadLayerPart",
        ]
        Resource = [for repository in aws_ecr_repository.this : repository.arn]
      },
      {
        Sid    = "RunService"
        Effect = "Allow"
        Action = [
          "ecs:CreateCluster",
          "ecs:CreateService",
          "ecs:DeleteCluster",
          "ecs:DeleteService",
          "ecs:DescribeClusters",
          "ecs:DescribeServices",
          "ecs:TagResource",
          "ecs:UntagResource",
          "ecs:UpdateService",
        ]
        Resource = [local.mine.cluster, local.mine.services, "${local.arn}:ecs:${local.here}:task-definition/${var.name}-*"]
      },
      {
        Sid      = "GiveTasksTheirRoles"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = local.mine.roles
        Condition = {
          StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" }
        }
      },
      {
        Sid      = "MakeRoles"
        Effect   = "Allow"
        Action   = concat(local.granting_actions, local.role_actions)
        Resource = local.mine.roles
      },
      {
        Sid      = "MakeTable"
        Effect   = "Allow"
        Action   = local.table_actions
        Resource = [local.mine.table, "${local.mine.table}/index/*"]
      },
      {
        Sid    = "WriteParameters"
        Effect = "Allow"
        Action = [
          "ssm:AddTagsToResource",
          "ssm:DeleteParameter",
          "ssm:GetParameter",
          "ssm:GetParameters",
          "ssm:ListTagsForResource",
          "ssm:PutParameter",
          "ssm:RemoveTagsFromResource",
        ]
        Resource = local.mine.parameters
      },
      {
        Sid      = "MakeLogs"
        Effect   = "Allow"
        Action   = local.log_actions
        Resource = local.mine.logs
      },
      {
        Sid    = "MakeAlarms"
        Effect = "Allow"
        Action = [
          "cloudwatch:DeleteAlarms",
          "cloudwatch:DescribeAlarms",
          "cloudwatch:ListTagsForResource",
          "cloudwatch:PutMetricAlarm",
          "cloudwatch:TagResource",
          "cloudwatch:UntagResource",
        ]
        Resource = "${local.arn}:cloudwatch:${local.here}:alarm:${var.name}-*"
      },
      {
        Sid    = "MakeTopic"
        Effect = "Allow"
        Action = [
          "sns:CreateTopic",
          "sns:DeleteTopic",
          "sns:GetTopicAttributes",
          "sns:ListTagsForResource",
          "sns:SetTopicAttributes",
          "sns:Subscribe",
          "sns:TagResource",
          "sns:UntagResource",
        ]
        Resource = local.mine.topic
      },
      {
        # Groups, namespaces and subscriptions have ids that are not known before they are made,
        # and AWS takes no resource for reading lists and for signing in to ECR.
        Sid    = "WhatHasNoNameBefore"
        Effect = "Allow"
        Action = [
          "ec2:AuthorizeSecurityGroupEgress",
          "ec2:AuthorizeSecurityGroupIngress",
          "ec2:CreateSecurityGroup",
          "ec2:CreateTags",
          "ec2:DeleteSecurityGroup",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSecurityGroupRules",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets",
          "ec2:DescribeVpcAttribute",
          "ec2:DescribeVpcs",
          "ec2:RevokeSecurityGroupEgress",
          "ec2:RevokeSecurityGroupIngress",
          "ecr:GetAuthorizationToken",
          "ecs:DeregisterTaskDefinition",
          "ecs:DescribeTaskDefinition",
          "ecs:DescribeTasks",
          "ecs:ListTasks",
          "ecs:RegisterTaskDefinition",
          "logs:DescribeLogGroups",
          "route53:CreateHostedZone",
          "route53:DeleteHostedZone",
          "route53:GetHostedZone",
          "servicediscovery:CreatePrivateDnsNamespace",
          "servicediscovery:CreateService",
          "servicediscovery:DeleteNamespace",
          "servicediscovery:DeleteService",
          "servicediscovery:GetNamespace",
          "servicediscovery:GetOperation",
          "servicediscovery:GetService",
          "servicediscovery:ListTagsForResource",
          "servicediscovery:TagResource",
          "servicediscovery:UntagResource",
          "servicediscovery:UpdateService",
          "sns:GetSubscriptionAttributes",
          "sns:Unsubscribe",
          "ssm:DescribeParameters",
        ]
        Resource = "*"
        Condition = {
          StringEquals = { "aws:RequestedRegion" = [var.region, "us-east-1"] }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "preview" {
  #checkov:skip=CKV_AWS_355:AWS takes no resource for reading the list of log groups
  name = "preview"
  role = aws_iam_role.github["preview"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "KeepState"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = "${aws_s3_bucket.state.arn}/preview/*"
      },
      {
        Sid       = "FindState"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = aws_s3_bucket.state.arn
        Condition = { StringLike = { "s3:prefix" = "preview/*" } }
      },
      {
        Sid    = "RunPreview"
        Effect = "Allow"
        Action = [
          "lambda:AddPermission",
          "lambda:CreateFunction",
          "lambda:CreateFunctionUrlConfig",
          "lambda:DeleteFunction",
          "lambda:DeleteFunctionUrlConfig",
          "lambda:GetFunction",
          "lambda:GetFunctionCodeSigningConfig",
          "lambda:GetFunctionConcurrency",
          "lambda:GetFunctionConfiguration",
          "lambda:GetFunctionUrlConfig",
          "lambda:GetPolicy",
          "lambda:InvokeFunction",
          "lambda:InvokeFunctionUrl",
          "lambda:ListTags",
          "lambda:ListVersionsByFunction",
          "lambda:PutFunctionConcurrency",
          "lambda:RemovePermission",
          "lambda:TagResource",
          "lambda:UntagResource",
          "lambda:UpdateFunctionCode",
          "lambda:UpdateFunctionConfiguration",
          "lambda:UpdateFunctionUrlConfig",
        ]
        Resource = local.mine.preview
      },
      {
        Sid      = "GiveThePreviewItsRole"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = local.mine.preview_roles
        Condition = {
          StringEquals = { "iam:PassedToService" = "lambda.amazonaws.com" }
        }
      },
      {
        # A pull request writes the role's policy, but none that goes beyond the boundary.
        Sid      = "GrantWithinTheBoundary"
        Effect   = "Allow"
        Action   = local.granting_actions
        Resource = local.mine.preview_roles
        Condition = {
          StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.preview_boundary.arn }
        }
      },
      {
        Sid      = "MakeRoles"
        Effect   = "Allow"
        Action   = local.role_actions
        Resource = local.mine.preview_roles
      },
      {
        Sid      = "MakeTable"
        Effect   = "Allow"
        Action   = local.table_actions
        Resource = [local.mine.preview_table, "${local.mine.preview_table}/index/*"]
      },
      {
        Sid      = "MakeLogs"
        Effect   = "Allow"
        Action   = local.log_actions
        Resource = local.mine.preview_logs
      },
      {
        # An API has an id that is not known before it is made.
        Sid      = "MakePublicPreviews"
        Effect   = "Allow"
        Action   = ["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:TagResource"]
        Resource = ["${local.arn}:apigateway:${var.region}::/apis", "${local.arn}:apigateway:${var.region}::/apis/*", "${local.arn}:apigateway:${var.region}::/tags/*"]
      },
      {
        # AWS takes no resource for it.
        Sid      = "ReadLists"
        Effect   = "Allow"
        Action   = "logs:DescribeLogGroups"
        Resource = "*"
      },
    ]
  })
}

# What a preview's role can have at most, whatever a pull request writes into it.
resource "aws_iam_policy" "preview_boundary" {
  name        = "${var.name}-preview-boundary"
  description = "The most that the role of a preview can do."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Tasks"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
        Resource = [local.mine.preview_table, "${local.mine.preview_table}/index/*"]
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${local.mine.preview_logs}:log-stream:*"
      },
    ]
  })
}
