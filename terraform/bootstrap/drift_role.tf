# The role of the workflow drift, which compares production with main each week. It only reads, but it
# reads all that Terraform does, the parameters with the secrets among it.

resource "aws_iam_role" "drift" {
  name                 = "${var.name}-github-drift"
  description          = "Assumed by the GitHub workflow drift on main."
  assume_role_policy   = local.trust["drift"]
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "drift" {
  #checkov:skip=CKV_AWS_355:AWS supports no resource for these actions, or ids are unknown before creation
  name = "drift"
  role = aws_iam_role.drift.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadState"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${aws_s3_bucket.state.arn}/stack/production.tfstate"
      },
      {
        Sid      = "ListStates"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = aws_s3_bucket.state.arn
      },
      {
        Sid    = "ReadTheStack"
        Effect = "Allow"
        Action = [
          "aps:DescribeAlertManagerDefinition",
          "aps:DescribeLoggingConfiguration",
          "aps:DescribeRuleGroupsNamespace",
          "aps:DescribeWorkspace",
          "aps:ListTagsForResource",
          "budgets:ListTagsForResource",
          "budgets:ViewBudget",
          "cloudwatch:DescribeAlarms",
          "cloudwatch:ListTagsForResource",
          "dynamodb:DescribeContinuousBackups",
          "dynamodb:DescribeTable",
          "dynamodb:DescribeTimeToLive",
          "dynamodb:ListTagsOfResource",
          "ecs:DescribeClusters",
          "ecs:DescribeServices",
          "iam:GetRole",
          "iam:GetRolePolicy",
          "iam:ListAttachedRolePolicies",
          "iam:ListRolePolicies",
          "logs:DescribeMetricFilters",
          "logs:ListTagsForResource",
          "sns:GetTopicAttributes",
          "sns:ListTagsForResource",
          "ssm:GetParameter",
          "ssm:ListTagsForResource",
        ]
        Resource = [
          "${local.arn}:aps:${local.region_and_account}:rulegroupsnamespace/*",
          "${local.arn}:aps:${local.region_and_account}:workspace/*",
          "${local.arn}:budgets::${local.account_id}:budget/${var.name}-month",
          "${local.arn}:cloudwatch:${local.region_and_account}:alarm:${var.name}-*",
          "${local.arn}:dynamodb:${local.region_and_account}:table/${var.name}-tasks*",
          "${local.arn}:ecs:${local.region_and_account}:cluster/${var.name}",
          "${local.arn}:ecs:${local.region_and_account}:service/${var.name}/*",
          "${local.arn}:iam::${local.account_id}:role/${var.name}-*",
          "${local.arn}:logs:${local.region_and_account}:log-group:/${var.name}/*",
          "${local.arn}:sns:${local.region_and_account}:${var.name}-alarms",
          "${local.arn}:ssm:${local.region_and_account}:parameter/${var.name}/*",
        ]
      },
      {
        # Ids are unknown before creation, or AWS supports no resource.
        Sid    = "ReadLists"
        Effect = "Allow"
        Action = [
          "acm:DescribeCertificate",
          "acm:ListTagsForCertificate",
          "application-autoscaling:DescribeScalableTargets",
          "application-autoscaling:DescribeScalingPolicies",
          "application-autoscaling:ListTagsForResource",
          "ec2:DescribePrefixLists",
          "ec2:DescribeRouteTables",
          "ec2:DescribeSecurityGroupRules",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets",
          "ec2:DescribeVpcAttribute",
          "ec2:DescribeVpcEndpoints",
          "ec2:DescribeVpcs",
          "ecs:DescribeTaskDefinition",
          "elasticloadbalancing:DescribeCapacityReservation",
          "elasticloadbalancing:DescribeListenerAttributes",
          "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeLoadBalancerAttributes",
          "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeTags",
          "elasticloadbalancing:DescribeTargetGroupAttributes",
          "elasticloadbalancing:DescribeTargetGroups",
          "logs:DescribeLogGroups",
          "route53:GetHostedZone",
          "route53:ListResourceRecordSets",
          "servicediscovery:GetNamespace",
          "servicediscovery:GetService",
          "servicediscovery:ListTagsForResource",
          "sns:GetSubscriptionAttributes",
          "ssm:DescribeParameters",
        ]
        Resource = "*"
      },
    ]
  })
}
