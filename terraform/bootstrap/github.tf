# What AWS trusts of GitHub. A workflow authenticates with a token signed by GitHub (OIDC), so no AWS
# access keys are stored.

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.create_oidc_provider ? 1 : 0
  url            = local.issuer
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_provider ? 0 : 1
  url   = local.issuer
}

locals {
  issuer   = "https://token.actions.githubusercontent.com"
  provider = one(concat(aws_iam_openid_connect_provider.github[*].arn, data.aws_iam_openid_connect_provider.github[*].arn))

  repository = {
    ids   = "repo:${var.github_owner}@${var.github_owner_id}/${var.github_repository}@${var.github_repository_id}"
    names = "repo:${var.github_owner}/${var.github_repository}"
  }[var.github_subject_format]

  # For each role, the claims that its token must have. The subject names only the environment or the event.
  # The branch keeps out a workflow that was changed on another branch and names the same environment. The
  # id keeps out another repository that gets the name later.
  claims = merge(
    {
      preview = {
        repository_id = var.github_repository_id
        sub           = "${local.repository}:pull_request"
      }
      drift = {
        ref           = "refs/heads/main"
        repository_id = var.github_repository_id
        sub           = "${local.repository}:ref:refs/heads/main"
      }
    },
    {
      for environment in var.environments : environment => {
        ref           = "refs/heads/main"
        repository_id = var.github_repository_id
        sub           = "${local.repository}:environment:${environment}"
      }
    },
  )
  trust = {
    for role, claims in local.claims : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = local.provider }
        Condition = {
          StringEquals = {
            for claim, value in merge(claims, { aud = "sts.amazonaws.com" }) :
            "token.actions.githubusercontent.com:${claim}" => value
          }
        }
      }]
    })
  }

  region_and_account = "${var.region}:${local.account_id}"
}

module "deploy_role" {
  source             = "./deploy_role"
  for_each           = var.environments
  stack              = each.value == "production" ? var.name : "${var.name}-${each.value}"
  environment        = each.value
  region             = var.region
  trust              = local.trust[each.value]
  state_bucket_arn   = aws_s3_bucket.state.arn
  repository_arns    = [for repository in aws_ecr_repository.this : repository.arn]
  hosted_zone_arns   = [for zone in compact([var.hosted_zone_id]) : "${local.arn}:route53:::hostedzone/${zone}"]
  arn                = local.arn
  region_and_account = local.region_and_account
  account_id         = local.account_id
}
