variable "name" {
  description = "Begins the name of everything that is made; the stack's name, too."
  type        = string
  default     = "task-tracker"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name: 3 to 24 small letters, digits and dashes, beginning with a letter, such as task-tracker."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: an AWS region, such as eu-central-1."
  }
}

variable "github_subject_prefix" {
  description = "How GitHub's tokens name the repository. One made after June 2026 has its ids in it."
  type        = string

  validation {
    condition     = can(regex("^repo:[^:*]+/[^:*]+$", var.github_subject_prefix))
    error_message = "github_subject_prefix: repo:OWNER/NAME, or repo:OWNER-<id>/NAME-<id> for a repository made after 2026-06-18; gh api repos/OWNER/NAME tells the ids. No wildcards: they would let other repositories in."
  }
}

variable "state_retention_days" {
  description = "How many days former versions of a state are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.state_retention_days >= 1
    error_message = "state_retention_days: 1 or more."
  }
}

variable "expire_old_states" {
  description = "Whether former versions of a state expire at all."
  type        = bool
  default     = true
}
