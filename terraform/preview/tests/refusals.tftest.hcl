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

  bootstrap_key = "tt_00000000000000000000000000_0000000000000000000000000000000000000000000000000000000000000000_b330d6a1"
}

run "refuses_a_bootstrap_key_that_is_none" {
  command = plan

  variables {
    bootstrap_key = "tt_secret"
  }

  expect_failures = [var.bootstrap_key]
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
