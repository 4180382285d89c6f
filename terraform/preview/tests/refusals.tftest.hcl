# What a preview may not be told.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  region       = "eu-central-1"
  pull_request = 42
  package      = "main.tf"
}

run "refuses_a_number_that_is_none" {
  command = plan

  variables {
    pull_request = 0
  }

  expect_failures = [var.pull_request]
}

run "refuses_a_package_that_is_not_there" {
  command = plan

  variables {
    package = "build/none.zip"
  }

  expect_failures = [var.package]
}
