# What AWS trusts: exactly one form of the repository's name in GitHub's tokens.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/existing" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/created" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::bucket" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/boundary" }
  }
}

variables {
  region               = "eu-central-1"
  github_owner         = "user-42"
  github_owner_id      = "583231"
  github_repository    = "task-tracker"
  github_repository_id = "1296269"
}

run "ids_by_default" {
  command = apply

  assert {
    condition     = output.github_subject_prefix == "repo:user-42@583231/task-tracker@1296269"
    error_message = "The subject must have the ids behind an @; a name may end with a number."
  }

  assert {
    condition = jsondecode(local.trust["production"]).Statement == [{
      Action    = "sts:AssumeRoleWithWebIdentity"
      Effect    = "Allow"
      Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/created" }
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud"           = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:ref"           = "refs/heads/main"
          "token.actions.githubusercontent.com:repository_id" = "1296269"
          "token.actions.githubusercontent.com:sub"           = "repo:user-42@583231/task-tracker@1296269:environment:production"
        }
      }
    }]
    error_message = "A deployment must come from main, in the environment production of this repository."
  }

  assert {
    condition     = jsondecode(local.trust["preview"]).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:user-42@583231/task-tracker@1296269:pull_request"
    error_message = "A preview must come from a pull request."
  }
}

run "names_of_an_older_repository" {
  command = apply

  variables {
    github_subject_format = "names"
  }

  assert {
    condition     = output.github_subject_prefix == "repo:user-42/task-tracker" && !strcontains(jsonencode(local.trust), "@")
    error_message = "Only the form with names must be trusted."
  }
}

run "an_existing_provider" {
  command = apply

  variables {
    create_oidc_provider = false
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && strcontains(local.trust["production"], "oidc-provider/existing")
    error_message = "The account's provider must be used."
  }
}

run "a_second_environment" {
  command = apply

  variables {
    environments = ["production", "dev"]
  }

  assert {
    condition     = toset(keys(output.AWS_DEPLOY_ROLE_ARN)) == toset(["production", "dev"]) && endswith(jsondecode(local.trust["dev"]).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"], ":environment:dev")
    error_message = "Each environment must have a role of its own, which trusts only that environment."
  }
}
