variable "name" {
  description = "Prefix of all resource names. It must equal the name of the stack."
  type        = string
  default     = "task-tracker"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name)) && !can(regex("^(aws|ssm|sg-|internal-)", var.name))
    error_message = "name: 3 to 24 lowercase letters, digits and dashes, starting with a letter and not ending with a dash, for example task-tracker. AWS reserves names that start with aws, ssm, sg- or internal-."
  }
}

variable "region" {
  description = "AWS region of all resources."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: the code of an AWS region, for example eu-central-1."
  }
}

variable "environments" {
  description = "Environments that the workflow deploys. production is the stack with the bare name; of each other one the name follows a dash."
  type        = set(string)
  default     = ["production"]

  validation {
    condition     = alltrue([for each in var.environments : can(regex("^[a-z][a-z0-9]{1,9}$", each)) && !contains(["preview", "github", "drift"], each)])
    error_message = "environments: names of 2 to 10 lowercase letters and digits, for example [\"production\", \"dev\"]. preview, github and drift are taken."
  }
}

# The repository whose workflows assume the roles. `gh api` prints all four values (docs/operations.md).

variable "github_owner" {
  description = "User or organization that owns the repository."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.github_owner)) && !endswith(var.github_owner, "-${var.github_owner_id}")
    error_message = "github_owner: the name alone, for example octocat, without the id and without wildcards. GitHub joins the id by @, not by a dash: an earlier announcement of repo:OWNER-<id>/NAME-<id> never came true."
  }
}

variable "github_owner_id" {
  description = "Numeric id of the owner."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.github_owner_id))
    error_message = "github_owner_id: a number, which gh api repos/OWNER/NAME --jq .owner.id prints."
  }
}

variable "github_repository" {
  description = "Name of the repository, without its owner."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.github_repository)) && !endswith(var.github_repository, "-${var.github_repository_id}")
    error_message = "github_repository: the name alone, for example task-tracker, without owner, id and wildcards. GitHub joins the id by @, not by a dash: an earlier announcement of repo:OWNER-<id>/NAME-<id> never came true."
  }
}

variable "github_repository_id" {
  description = "Numeric id of the repository."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.github_repository_id))
    error_message = "github_repository_id: a number, which gh api repos/OWNER/NAME --jq .id prints."
  }
}

variable "github_subject_format" {
  description = "How GitHub's tokens name the repository: ids (OWNER@<id>/NAME@<id>), the default since 2026-07-15, or names, for an older repository that did not switch."
  type        = string
  default     = "ids"

  validation {
    condition     = contains(["ids", "names"], var.github_subject_format)
    error_message = "github_subject_format: ids or names. Settings, Actions, OIDC of the repository shows the prefix of its tokens."
  }
}

variable "create_oidc_provider" {
  description = "Whether to create the provider of GitHub's tokens. An account can have only one: false uses the existing one."
  type        = bool
  default     = true
}

variable "hosted_zone_id" {
  description = "Hosted zone of Route 53 in which the deploying roles may write the stack's domain_name. null: none."
  type        = string
  default     = null

  validation {
    condition     = var.hosted_zone_id == null || can(regex("^[A-Z0-9]{8,32}$", var.hosted_zone_id))
    error_message = "hosted_zone_id: the id of a hosted zone, for example Z0123456789ABCDEFGHIJ, or null for none."
  }
}

variable "state_retention_days" {
  description = "Days for which old versions of a state are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.state_retention_days >= 1 && floor(var.state_retention_days) == var.state_retention_days
    error_message = "state_retention_days: a whole number, at least 1."
  }
}

variable "load_balancer_log_days" {
  description = "Days for which access logs of load balancers are kept."
  type        = number
  default     = 30

  validation {
    condition     = var.load_balancer_log_days >= 1 && floor(var.load_balancer_log_days) == var.load_balancer_log_days
    error_message = "load_balancer_log_days: a whole number, at least 1."
  }
}

variable "expire_old_states" {
  description = "Whether old versions of a state, and access logs, expire."
  type        = bool
  default     = true
}
