# Roles of the ECS tasks. The execution role starts containers; the task role is for the API itself.

locals {
  trust_ecs_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      # Only ECS tasks of this account: ecs-tasks.amazonaws.com serves all accounts.
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "${local.arn}:ecs:${var.region}:${local.account_id}:*" }
      }
    }]
  })

  # Created by bootstrap/. The deploying role can create no role without it.
  boundary = "${local.arn}:iam::${local.account_id}:policy/${var.name}-boundary"

  repositories = [
    for image in [var.api_image, var.grafana_image] :
    "${local.arn}:ecr:${var.region}:${local.account_id}:repository/${regex("^[^/]+/([^@:]+)", image)[0]}"
  ]

  injected_parameters = concat(
    [
      aws_ssm_parameter.cursor_secret.arn,
      aws_ssm_parameter.grafana_admin_password.arn,
      aws_ssm_parameter.prometheus_config.arn,
    ],
    [for parameter in aws_ssm_parameter.alert_webhook_url : parameter.arn],
    [for parameter in aws_ssm_parameter.bootstrap_key : parameter.arn],
    [for parameter in aws_ssm_parameter.prometheus_rules : parameter.arn],
    [for parameter in aws_ssm_parameter.tls : parameter.arn],
    [for parameter in aws_ssm_parameter.watchdog_webhook_url : parameter.arn],
  )
}

resource "aws_iam_role" "execution" {
  name                 = "${var.name}-execution"
  description          = "Pulls images, reads the parameters for environment variables, writes logs."
  permissions_boundary = local.boundary
  assume_role_policy   = local.trust_ecs_tasks
}

resource "aws_iam_role_policy" "execution" {
  #checkov:skip=CKV_AWS_355:AWS supports no resource for ecr:GetAuthorizationToken
  name = "start-containers"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "SignInToEcr"
        Effect = "Allow"
        Action = "ecr:GetAuthorizationToken"
        # AWS supports no resource for this action.
        Resource = "*"
      },
      {
        Sid      = "PullImages"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = local.repositories
      },
      {
        Sid      = "FillEnvironment"
        Effect   = "Allow"
        Action   = "ssm:GetParameters"
        Resource = local.injected_parameters
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [for group in aws_cloudwatch_log_group.this : "${group.arn}:log-stream:*"]
      },
    ]
  })
}

resource "aws_iam_role" "task" {
  name                 = "${var.name}-task"
  description          = "Reads and writes items of the table."
  permissions_boundary = local.boundary
  assume_role_policy   = local.trust_ecs_tasks
}

resource "aws_iam_role_policy" "task" {
  name = "tasks"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
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
      ],
      [
        for workspace in aws_prometheus_workspace.this : {
          Sid      = "SendSeries"
          Effect   = "Allow"
          Action   = "aps:RemoteWrite"
          Resource = workspace.arn
        }
      ],
      [
        for statement in [{
          Sid      = "OpenShells"
          Effect   = "Allow"
          Action   = ["ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"]
          Resource = "*" # AWS supports no resource for these actions.
        }] : statement if var.execute_command
      ],
    )
  })
}
