# The role of the workflows deploy and destroy in one environment, and the limit of the roles that they
# create. tests/infra/permissions_test.py compares the policy with what the provider calls.

locals {
  iam        = "${var.arn}:iam::${var.account_id}"
  state      = "${var.state_bucket_arn}/stack/${var.environment}.tfstate"
  logs       = "${var.arn}:logs:${var.region_and_account}:log-group:/${var.stack}/*"
  parameters = "${var.arn}:ssm:${var.region_and_account}:parameter/${var.stack}/*"
  # The last form is that of restored tables.
  tables     = [for end in ["", "/index/*", "-*"] : "${var.arn}:dynamodb:${var.region_and_account}:table/${var.stack}-tasks${end}"]
  workspaces = "${var.arn}:aps:${var.region_and_account}:workspace/*"
  roles      = [for role in ["execution", "grafana", "task"] : "${local.iam}:role/${var.stack}-${role}"]
  ecs = [
    for each in ["cluster/${var.stack}", "service/${var.stack}/*", "task-definition/${var.stack}-*"] :
    "${var.arn}:ecs:${var.region_and_account}:${each}"
  ]
  load_balancing = [
    for each in ["loadbalancer/app/${var.stack}/*", "listener/app/${var.stack}/*", "listener-rule/app/${var.stack}/*", "targetgroup/*"] :
    "${var.arn}:elasticloadbalancing:${var.region_and_account}:${each}"
  ]
  domain = [for statement in [
    {
      Sid      = "WriteTheDomainName"
      Effect   = "Allow"
      Action   = ["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets"]
      Resource = var.hosted_zone_arns
    },
    {
      Sid      = "WaitForTheDomainName"
      Effect   = "Allow"
      Action   = "route53:GetChange"
      Resource = "${var.arn}:route53:::change/*"
    },
  ] : statement if length(var.hosted_zone_arns) > 0]
  # Each is created by AWS with the first resource of its kind in an account.
  service_linked_roles = [
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
  ]
}

resource "aws_iam_role" "this" {
  name                 = "${var.stack}-github-deploy"
  description          = "Assumed by the GitHub workflows deploy and destroy in the environment ${var.environment}."
  assume_role_policy   = var.trust
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "this" {
  #checkov:skip=CKV_AWS_355:AWS supports no resource for these actions, or ids are unknown before creation
  #checkov:skip=CKV_AWS_290:ids of security groups and namespaces are unknown before creation
  #checkov:skip=CKV_AWS_287:the workflow signs in to ECR
  #checkov:skip=CKV_AWS_286:the boundary limits what it can grant
  name = "deploy"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.domain, [
      {
        Sid      = "ReadAndWriteState"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = [local.state, "${local.state}.tflock"]
      },
      {
        Sid      = "ListStates"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.state_bucket_arn
      },
      {
        Sid    = "PushImages"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability",
          "ecr:BatchGetImage",
          "ecr:CompleteLayerUpload",
          "ecr:GetDownloadUrlForLayer",
          "ecr:InitiateLayerUpload",
          "ecr:PutImage",
          "ecr:UploadLayerPart",
        ]
        Resource = var.repository_arns
      },
      {
        Sid    = "ManageService"
        Effect = "Allow"
        Action = [
          "ecs:CreateCluster",
          "ecs:CreateService",
          "ecs:DeleteCluster",
          "ecs:DeleteService",
          "ecs:DescribeClusters",
          "ecs:DescribeServices",
          "ecs:ListTagsForResource",
          "ecs:TagResource",
          "ecs:UntagResource",
          "ecs:UpdateService",
        ]
        Resource = local.ecs
      },
      {
        Sid       = "PassTaskRoles"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = local.roles
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        # A role without the boundary can be neither created nor given a policy.
        Sid       = "GrantWithinBoundary"
        Effect    = "Allow"
        Action    = ["iam:CreateRole", "iam:PutRolePolicy"]
        Resource  = local.roles
        Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }
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
        Resource = local.roles
      },
      {
        Sid       = "CreateServiceLinkedRoles"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = [for service in local.service_linked_roles : "${local.iam}:role/aws-service-role/${service}/*"]
        Condition = { StringEquals = { "iam:AWSServiceName" = local.service_linked_roles } }
      },
      {
        Sid    = "ManageTable"
        Effect = "Allow"
        Action = [
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
        Resource = local.tables
      },
      {
        Sid    = "ManageParameters"
        Effect = "Allow"
        Action = [
          "ssm:AddTagsToResource",
          "ssm:DeleteParameter",
          "ssm:GetParameter",
          "ssm:ListTagsForResource",
          "ssm:PutParameter",
          "ssm:RemoveTagsFromResource",
        ]
        Resource = local.parameters
      },
      {
        Sid    = "ManageLogs"
        Effect = "Allow"
        Action = [
          "logs:CreateLogGroup",
          "logs:DeleteLogGroup",
          "logs:DeleteMetricFilter",
          "logs:DescribeMetricFilters",
          "logs:ListTagsForResource",
          "logs:PutMetricFilter",
          "logs:PutRetentionPolicy",
          "logs:TagResource",
          "logs:UntagResource",
        ]
        Resource = local.logs
      },
      {
        Sid    = "ManageAlarms"
        Effect = "Allow"
        Action = [
          "cloudwatch:DeleteAlarms",
          "cloudwatch:DescribeAlarms",
          "cloudwatch:ListTagsForResource",
          "cloudwatch:PutMetricAlarm",
          "cloudwatch:TagResource",
          "cloudwatch:UntagResource",
        ]
        Resource = "${var.arn}:cloudwatch:${var.region_and_account}:alarm:${var.stack}-*"
      },
      {
        # With monthly_budget_usd.
        Sid    = "ManageBudget"
        Effect = "Allow"
        Action = [
          "budgets:ListTagsForResource",
          "budgets:ModifyBudget",
          "budgets:TagResource",
          "budgets:UntagResource",
          "budgets:ViewBudget",
        ]
        Resource = "${var.arn}:budgets::${var.account_id}:budget/${var.stack}-month"
      },
      {
        Sid    = "ManageTopic"
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
        Resource = "${var.arn}:sns:${var.region_and_account}:${var.stack}-alarms"
      },
      {
        # With certificate_arn.
        Sid    = "ManageLoadBalancer"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddTags",
          "elasticloadbalancing:CreateListener",
          "elasticloadbalancing:CreateLoadBalancer",
          "elasticloadbalancing:CreateTargetGroup",
          "elasticloadbalancing:DeleteListener",
          "elasticloadbalancing:DeleteLoadBalancer",
          "elasticloadbalancing:DeleteTargetGroup",
          "elasticloadbalancing:ModifyListener",
          "elasticloadbalancing:ModifyListenerAttributes",
          "elasticloadbalancing:ModifyLoadBalancerAttributes",
          "elasticloadbalancing:ModifyTargetGroup",
          "elasticloadbalancing:ModifyTargetGroupAttributes",
          "elasticloadbalancing:RemoveTags",
        ]
        Resource = local.load_balancing
      },
      {
        # With monitoring_backend = "amp", and max_tasks. Ids are unknown before creation.
        Sid    = "ManageSeriesAndScaling"
        Effect = "Allow"
        Action = [
          "application-autoscaling:DeleteScalingPolicy",
          "application-autoscaling:DeregisterScalableTarget",
          "application-autoscaling:ListTagsForResource",
          "application-autoscaling:PutScalingPolicy",
          "application-autoscaling:RegisterScalableTarget",
          "application-autoscaling:TagResource",
          "application-autoscaling:UntagResource",
          "aps:CreateAlertManagerDefinition",
          "aps:CreateRuleGroupsNamespace",
          "aps:DeleteAlertManagerDefinition",
          "aps:DeleteRuleGroupsNamespace",
          "aps:DeleteWorkspace",
          "aps:DescribeAlertManagerDefinition",
          "aps:DescribeLoggingConfiguration",
          "aps:DescribeRuleGroupsNamespace",
          "aps:DescribeWorkspace",
          "aps:ListTagsForResource",
          "aps:PutAlertManagerDefinition",
          "aps:PutRuleGroupsNamespace",
          "aps:TagResource",
          "aps:UntagResource",
        ]
        Resource = [
          "${var.arn}:application-autoscaling:${var.region_and_account}:scalable-target/*",
          "${var.arn}:aps:${var.region_and_account}:rulegroupsnamespace/*",
          local.workspaces,
        ]
      },
      {
        # Ids of security groups, namespaces and subscriptions are unknown before creation, and AWS
        # supports no resource for list actions and for signing in to ECR.
        Sid    = "ManageResourcesWithUnknownIds"
        Effect = "Allow"
        Action = [
          # With domain_name.
          "acm:AddTagsToCertificate",
          "acm:DeleteCertificate",
          "acm:DescribeCertificate",
          "acm:ListTagsForCertificate",
          "acm:RemoveTagsFromCertificate",
          "acm:RequestCertificate",
          "application-autoscaling:DescribeScalableTargets",
          "application-autoscaling:DescribeScalingPolicies",
          "aps:CreateWorkspace",
          "ec2:AuthorizeSecurityGroupEgress",
          "ec2:AuthorizeSecurityGroupIngress",
          "ec2:CreateSecurityGroup",
          "ec2:CreateTags",
          "ec2:CreateVpcEndpoint",
          "ec2:DeleteSecurityGroup",
          "ec2:DeleteTags",
          "ec2:DeleteVpcEndpoints",
          "ec2:DescribeAccountAttributes",
          "ec2:DescribeInternetGateways",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribePrefixLists",
          "ec2:DescribeRegions",
          "ec2:DescribeRouteTables",
          "ec2:DescribeSecurityGroupRules",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets",
          "ec2:DescribeVpcAttribute",
          "ec2:DescribeVpcEndpoints",
          "ec2:DescribeVpcs",
          "ec2:ModifySecurityGroupRules",
          "ec2:ModifyVpcEndpoint",
          "ec2:RevokeSecurityGroupEgress",
          "ec2:RevokeSecurityGroupIngress",
          "ecr:GetAuthorizationToken",
          "ecs:DeregisterTaskDefinition",
          "ecs:DescribeTaskDefinition",
          "ecs:DescribeTasks",
          "ecs:ListTasks",
          "ecs:RegisterTaskDefinition",
          "elasticloadbalancing:DescribeCapacityReservation",
          "elasticloadbalancing:DescribeListenerAttributes",
          "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeLoadBalancerAttributes",
          "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeTags",
          "elasticloadbalancing:DescribeTargetGroupAttributes",
          "elasticloadbalancing:DescribeTargetGroups",
          "logs:DescribeLogGroups",
          "route53:CreateHostedZone",
          "route53:DeleteHostedZone",
          "route53:GetHostedZone",
          "route53:ListHostedZonesByName",
          "servicediscovery:CreatePrivateDnsNamespace",
          "servicediscovery:CreateService",
          "servicediscovery:DeleteNamespace",
          "servicediscovery:DeleteService",
          "servicediscovery:DeregisterInstance",
          "servicediscovery:GetNamespace",
          "servicediscovery:GetOperation",
          "servicediscovery:GetService",
          "servicediscovery:ListInstances",
          "servicediscovery:ListTagsForResource",
          "servicediscovery:TagResource",
          "servicediscovery:UntagResource",
          "sns:GetSubscriptionAttributes",
          "sns:Unsubscribe",
          "ssm:DescribeParameters",
        ]
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestedRegion" = [var.region, "us-east-1"] } }
      },
    ])
  })
}

# Without it, the deploying role could write any permission into a role of the stack, and use it there.
resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_355:AWS supports no resource for ecr:GetAuthorizationToken
  name        = "${var.stack}-boundary"
  description = "Maximum permissions of the roles of the stack ${var.stack}."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Tasks"
        Effect   = "Allow"
        Action   = ["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
        Resource = local.tables
      },
      {
        Sid      = "Parameters"
        Effect   = "Allow"
        Action   = "ssm:GetParameters"
        Resource = local.parameters
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${local.logs}:log-stream:*"
      },
      {
        Sid      = "Series"
        Effect   = "Allow"
        Action   = ["aps:GetLabels", "aps:GetMetricMetadata", "aps:GetSeries", "aps:QueryMetrics", "aps:RemoteWrite"]
        Resource = local.workspaces
      },
      {
        Sid      = "PullImages"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = var.repository_arns
      },
      {
        Sid      = "SignInToEcr"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        # With execute_command. AWS supports no resource for these actions.
        Sid      = "OpenShells"
        Effect   = "Allow"
        Action   = ["ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"]
        Resource = "*"
      },
    ]
  })
}
