# What bootstrap may not be told.

mock_provider "aws" {}

variables {
  region                = "eu-central-1"
  github_subject_prefix = "repo:owner/task-tracker"
}

run "refuses_a_pattern_that_lets_others_in" {
  command = plan

  variables {
    github_subject_prefix = "repo:owner/*"
  }

  expect_failures = [var.github_subject_prefix]
}

run "refuses_a_repository_without_its_owner" {
  command = plan

  variables {
    github_subject_prefix = "task-tracker"
  }

  expect_failures = [var.github_subject_prefix]
}

run "refuses_a_name_that_aws_would_not_take" {
  command = plan

  variables {
    name = "Task Tracker"
  }

  expect_failures = [var.name]
}

run "refuses_a_region_that_is_none" {
  command = plan

  variables {
    region = "europe"
  }

  expect_failures = [var.region]
}

run "refuses_states_that_expire_at_once" {
  command = plan

  variables {
    state_retention_days = 0
  }

  expect_failures = [var.state_retention_days]
}
