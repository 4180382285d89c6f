# Invalid inputs are refused at plan time.

mock_provider "aws" {}

variables {
  region               = "eu-central-1"
  github_owner         = "octocat"
  github_owner_id      = "583231"
  github_repository    = "task-tracker"
  github_repository_id = "1296269"
}

run "refuses_malformed_values" {
  command = plan

  variables {
    name                   = "Task Tracker"
    region                 = "europe"
    environments           = ["Production", "preview", "drift"]
    github_owner           = "octocat/task-tracker"
    github_repository      = "octocat/task-tracker"
    github_subject_format  = "dashes"
    hosted_zone_id         = "example.com"
    load_balancer_log_days = 0
    state_retention_days   = 0
  }

  expect_failures = [
    var.name,
    var.region,
    var.environments,
    var.github_owner,
    var.github_repository,
    var.github_subject_format,
    var.hosted_zone_id,
    var.load_balancer_log_days,
    var.state_retention_days,
  ]
}

run "refuses_a_name_that_ends_in_a_dash" {
  command = plan

  variables {
    name = "task-"
  }

  expect_failures = [var.name]
}

run "refuses_a_name_that_aws_reserves" {
  command = plan

  variables {
    name = "aws-tracker"
  }

  expect_failures = [var.name]
}

run "refuses_a_wildcard_in_the_subject" {
  command = plan

  variables {
    github_repository = "*"
  }

  expect_failures = [var.github_repository]
}

run "refuses_ids_joined_by_a_dash" {
  command = plan

  variables {
    github_owner      = "octocat-583231"
    github_repository = "task-tracker-1296269"
  }

  expect_failures = [
    var.github_owner,
    var.github_repository,
  ]
}

run "refuses_a_prefix_as_owner" {
  command = plan

  variables {
    github_owner = "repo:octocat@583231"
  }

  expect_failures = [var.github_owner]
}

run "refuses_ids_that_are_not_numbers" {
  command = plan

  variables {
    github_owner_id      = "octocat"
    github_repository_id = ""
  }

  expect_failures = [
    var.github_owner_id,
    var.github_repository_id,
  ]
}
