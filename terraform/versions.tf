terraform {
  # 1.11 is the first version with write-only arguments, which keep secrets out of the state.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # One state for each environment. scripts/stack.py derives its key from the environment's name:
  # init -backend-config=bucket=... -backend-config=region=... -backend-config=key=stack/<environment>.tfstate
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      project = var.name
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  arn        = "arn:${data.aws_partition.current.partition}"
  registry   = "${local.account_id}.dkr.ecr.${var.region}.${data.aws_partition.current.dns_suffix}"
}

# The state remembers whose it is: a plan of another environment over it is refused. A destroy checks no
# condition; scripts/stack.py chooses its state by the environment.
resource "terraform_data" "name" {
  input = var.name

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.input == var.name
      error_message = "This state is that of ${self.input}, and these variables are those of ${var.name}. Use terraform/scripts/stack.py, which chooses both by the environment."
    }
  }
}
