# Invalid inputs are refused at plan time.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

run "refuses_malformed_values" {
  command = plan

  variables {
    name          = "task-"
    region        = "europe"
    pull_request  = 0
    package       = "build/none.zip"
    bootstrap_key = "tt_secret"
  }

  expect_failures = [
    var.name,
    var.region,
    var.pull_request,
    var.package,
    var.bootstrap_key,
  ]
}
