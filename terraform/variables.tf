# What a deployment may say. Units are in the names; what is wrong fails at plan with what to write.

variable "name" {
  description = "Begins the name of everything that is made; two stacks in one account differ in it."
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

variable "vpc_id" {
  description = "The VPC, whose subnets route to the internet; the account's default VPC unless given."
  type        = string
  default     = null
}

# Images

variable "api_image" {
  description = "Image of the API by digest."
  type        = string

  validation {
    condition     = can(regex("^[^/]+/[^@]+@sha256:[0-9a-f]{64}$", var.api_image))
    error_message = "api_image: name the image by digest, such as ....amazonaws.com/task-tracker/api@sha256:<64 hex digits>. A tag can come to mean another image."
  }
}

variable "grafana_image" {
  description = "Image of Grafana, built from monitoring/grafana, by digest."
  type        = string

  validation {
    condition     = can(regex("^[^/]+/[^@]+@sha256:[0-9a-f]{64}$", var.grafana_image))
    error_message = "grafana_image: name the image by digest, such as ....amazonaws.com/task-tracker/grafana@sha256:<64 hex digits>."
  }
}

variable "prometheus_image" {
  description = "Image of Prometheus by digest; it must have a shell, which the distroless ones have not."
  type        = string
  default     = "prom/prometheus:v3.15.0@sha256:efd719c99d83b060d9daefdcf00360461adf279f45ef5391f8d111892118753e"
}

variable "node_exporter_image" {
  description = "Image of node-exporter by digest."
  type        = string
  default     = "prom/node-exporter:v1.12.1@sha256:1b4e4438faca4dd7e001dd445d161a4a2091b0fededa84093b3a8dfeae1f1be0"
}

# Size

variable "task_vcpus" {
  description = "CPUs of the task, shared by its three containers."
  type        = number
  default     = 0.5

  validation {
    condition     = contains([0.25, 0.5, 1, 2, 4], var.task_vcpus)
    error_message = "task_vcpus: Fargate has 0.25, 0.5, 1, 2 or 4. The API uses one at most; run more tasks instead."
  }
}

variable "task_memory_mib" {
  description = "Memory of the task in MiB; Prometheus and node-exporter take 448 of it."
  type        = number
  default     = 1024

  validation {
    condition = contains({
      "0.25" = [1024, 2048]
      "0.5"  = [1024, 2048, 3072, 4096]
      "1"    = [2048, 3072, 4096, 5120, 6144, 7168, 8192]
      "2"    = range(4096, 16385, 1024)
      "4"    = range(8192, 30721, 1024)
    }[tostring(var.task_vcpus)], var.task_memory_mib)
    error_message = "task_memory_mib: Fargate has 1024 or 2048 with 0.25 vCPU, 1024 to 4096 with 0.5, 2048 to 8192 with 1, 4096 to 16384 with 2, and 8192 to 30720 with 4, in steps of 1024."
  }
}

variable "desired_count" {
  description = "How many tasks run."
  type        = number
  default     = 1

  validation {
    condition     = var.desired_count >= 1 && floor(var.desired_count) == var.desired_count
    error_message = "desired_count: a whole number of 1 or more."
  }

  validation {
    condition     = var.desired_count == 1 || var.monitoring_backend == "amp"
    error_message = "desired_count: the sidecar's Prometheus sees its own task only, so that two would each tell half the truth. Set monitoring_backend = \"amp\" for more than one."
  }
}

variable "most_tasks" {
  description = "How many tasks may run when CPU is short; no autoscaling unless it is more than desired_count."
  type        = number
  default     = 1

  validation {
    condition     = var.most_tasks <= var.desired_count || var.monitoring_backend == "amp"
    error_message = "most_tasks: autoscaling needs monitoring_backend = \"amp\", for the sidecar's Prometheus sees one task only."
  }
}

# Who may connect

variable "api_cidrs" {
  description = "Who may reach the API. It has no default: requests carry keys."
  type        = list(string)

  validation {
    condition     = alltrue([for cidr in var.api_cidrs : can(cidrnetmask(cidr))])
    error_message = "api_cidrs: a list of IPv4 networks, such as [\"203.0.113.7/32\"]."
  }

  validation {
    condition     = var.certificate_arn != null || var.allow_plain_http || !contains(var.api_cidrs, "0.0.0.0/0")
    error_message = "api_cidrs: port 8000 is plain HTTP, and whoever is on the way reads the keys. Give certificate_arn for HTTPS, name fewer networks, or set allow_plain_http = true."
  }
}

variable "allow_plain_http" {
  description = "Whether the API may be open to everybody without HTTPS."
  type        = bool
  default     = false
}

variable "grafana_cidrs" {
  description = "Who may reach Grafana on port 3000, which is plain HTTP."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.grafana_cidrs : can(cidrnetmask(cidr))])
    error_message = "grafana_cidrs: a list of IPv4 networks, such as [\"203.0.113.7/32\"]."
  }

  validation {
    condition     = var.allow_plain_http || !contains(var.grafana_cidrs, "0.0.0.0/0")
    error_message = "grafana_cidrs: port 3000 is plain HTTP, and a password goes over it. Name fewer networks, or set allow_plain_http = true."
  }
}

variable "prometheus_cidrs" {
  description = "Who may reach Prometheus on port 9090 beside Grafana; it asks for no password."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.prometheus_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "prometheus_cidrs: IPv4 networks such as [\"203.0.113.7/32\"], never everybody: Prometheus asks for no password."
  }
}

variable "node_exporter_cidrs" {
  description = "Who may reach node-exporter on port 9100; it listens on localhost alone unless somebody may."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.node_exporter_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "node_exporter_cidrs: IPv4 networks such as [\"203.0.113.7/32\"], never everybody: node-exporter asks for no password."
  }
}

variable "certificate_arn" {
  description = "ARN of a certificate: with it a load balancer answers HTTPS, and the task is reached through that alone."
  type        = string
  default     = null
}

# Monitoring

variable "monitoring_backend" {
  description = "Where series live: sidecar, with the task; or amp, in Amazon Managed Service for Prometheus."
  type        = string
  default     = "sidecar"

  validation {
    condition     = contains(["sidecar", "amp"], var.monitoring_backend)
    error_message = "monitoring_backend: sidecar or amp."
  }
}

variable "alarm_email" {
  description = "Who is told of what only AWS can see, such as that no task runs; AWS asks them to confirm."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "How many days logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch has 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 and 731."
  }
}

# The table

variable "table_deletion_protection" {
  description = "Whether the table refuses to be deleted; a destroy needs it off, by an apply of its own."
  type        = bool
  default     = true
}

# Secrets: written when their version changes, and in neither plan nor state.

variable "secrets_version" {
  description = "Raise it to write the secrets anew; until then what is given for them is not looked at."
  type        = number
  default     = 1
}

variable "cursor_secret" {
  description = "Signs page cursors: 32 characters or more."
  type        = string
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = length(var.cursor_secret) >= 32
    error_message = "cursor_secret: 32 characters or more, such as TF_VAR_cursor_secret=$(openssl rand -hex 32)."
  }
}

variable "bootstrap_key_version" {
  description = "0: no bootstrap key. Raise it to write bootstrap_key anew; back to 0 takes it away."
  type        = number
  default     = 0

  validation {
    condition     = var.bootstrap_key_version >= 0 && floor(var.bootstrap_key_version) == var.bootstrap_key_version
    error_message = "bootstrap_key_version: a whole number, 0 for none."
  }
}

variable "bootstrap_key" {
  description = "Opens /v1/keys and nothing else, to make the first key with; looked at while bootstrap_key_version is above 0."
  type        = string
  default     = ""
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.bootstrap_key_version == 0 || can(regex("^tt_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9a-f]{64}_[0-9a-f]{8}$", var.bootstrap_key))
    error_message = "bootstrap_key: a whole key, such as TF_VAR_bootstrap_key=$(python3 terraform/scripts/new_key.py), or bootstrap_key_version = 0 for none."
  }
}

variable "grafana_admin_password" {
  description = "Password of Grafana's admin: 16 characters or more."
  type        = string
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = length(var.grafana_admin_password) >= 16
    error_message = "grafana_admin_password: 16 characters or more, such as TF_VAR_grafana_admin_password=$(openssl rand -hex 16)."
  }
}

variable "alert_webhook_url" {
  description = "Who is told of alerts; such addresses carry their own secret."
  type        = string
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = startswith(var.alert_webhook_url, "https://")
    error_message = "alert_webhook_url: an https:// address that takes Grafana's webhooks."
  }
}

variable "watchdog_webhook_url" {
  description = "Who raises the alarm when alerts do not arrive any more: a dead man's switch."
  type        = string
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = startswith(var.watchdog_webhook_url, "https://")
    error_message = "watchdog_webhook_url: an https:// address that expects to be called every few minutes."
  }
}
