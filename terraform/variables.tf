# Inputs of a deployment. Names carry the unit. An invalid value fails at plan time, with a message
# that says what to write instead.

variable "name" {
  description = "Prefix of all resource names. It must be unique among the stacks of one account."
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

# An empty text is refused: it is what an unset variable of a shell or a workflow becomes, and would mean the
# default without a word.

variable "vpc_id" {
  description = "VPC to run in. null, the default: the account's default VPC."
  type        = string
  default     = null

  validation {
    condition     = var.vpc_id == null || can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id: the id of a VPC, for example vpc-0123456789abcdef0, or null for the account's default VPC."
  }

  validation {
    condition     = var.vpc_id == null || length(var.subnet_ids) > 0
    error_message = "vpc_id: a VPC of your own may have private subnets. Name the public ones in subnet_ids."
  }
}

variable "subnet_ids" {
  description = "Subnets to run in, each with a route to an internet gateway and in its own zone. Default: all subnets of the default VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for subnet in var.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", subnet))])
    error_message = "subnet_ids: a list of ids of subnets, for example [\"subnet-0123456789abcdef0\"], or [] for all subnets of the default VPC."
  }
}

# Images

variable "api_image" {
  description = "Image of the API, by digest."
  type        = string

  validation {
    condition     = can(regex("^${local.registry}/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.api_image))
    error_message = "api_image: give an image in the registry of this account and region by digest: ${local.registry}/task-tracker/api@sha256:<64 hex digits>. ECS could not pull another one, and a tag can be moved to another image."
  }
}

variable "grafana_image" {
  description = "Image built from monitoring/grafana, by digest."
  type        = string

  validation {
    condition     = can(regex("^${local.registry}/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.grafana_image))
    error_message = "grafana_image: give an image in the registry of this account and region by digest: ${local.registry}/task-tracker/grafana@sha256:<64 hex digits>. ECS could not pull another one, and a tag can be moved to another image."
  }
}

variable "prometheus_image" {
  description = "Image of Prometheus, by digest. It needs a shell; the distroless variants have none."
  type        = string
  default     = "quay.io/prometheus/prometheus:v3.15.0@sha256:efd719c99d83b060d9daefdcf00360461adf279f45ef5391f8d111892118753e"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$", var.prometheus_image))
    error_message = "prometheus_image: give the image by digest, for example quay.io/prometheus/prometheus@sha256:<64 hex digits>. A tag can be moved to another image."
  }
}

variable "node_exporter_image" {
  description = "Image of node-exporter, by digest."
  type        = string
  default     = "quay.io/prometheus/node-exporter:v1.12.1@sha256:1b4e4438faca4dd7e001dd445d161a4a2091b0fededa84093b3a8dfeae1f1be0"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$", var.node_exporter_image))
    error_message = "node_exporter_image: give the image by digest, for example quay.io/prometheus/node-exporter@sha256:<64 hex digits>. A tag can be moved to another image."
  }
}

variable "alertmanager_image" {
  description = "Image of Alertmanager, by digest. It needs a shell; the distroless variants have none."
  type        = string
  default     = "quay.io/prometheus/alertmanager:v0.34.1@sha256:e9733bafb1bdef9b00e25a21f8f99dc26a22224bf16641ad754d1649f4c3357a"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$", var.alertmanager_image))
    error_message = "alertmanager_image: give the image by digest, for example quay.io/prometheus/alertmanager@sha256:<64 hex digits>. A tag can be moved to another image."
  }
}

# Size

variable "task_vcpus" {
  description = "vCPUs of the ECS task, shared by its three containers."
  type        = number
  default     = 0.5

  validation {
    condition     = contains([0.25, 0.5, 1, 2, 4], var.task_vcpus)
    error_message = "task_vcpus: 0.25, 0.5, 1, 2 or 4. The API uses at most one vCPU; for more, raise desired_count."
  }
}

variable "task_memory_mib" {
  description = "Memory of the ECS task in MiB. Prometheus and node-exporter use 448 of it."
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
    error_message = "task_memory_mib: Fargate supports 1024 or 2048 with 0.25 vCPU, 1024 to 4096 with 0.5, 2048 to 8192 with 1, 4096 to 16384 with 2, and 8192 to 30720 with 4, in steps of 1024."
  }
}

variable "grafana_memory_mib" {
  description = "Memory of Grafana's ECS task in MiB. Alertmanager uses 96 of it."
  type        = number
  default     = 1024

  validation {
    condition     = contains([512, 1024, 2048], var.grafana_memory_mib)
    error_message = "grafana_memory_mib: Fargate supports 512, 1024 or 2048 with 0.25 vCPU. Grafana needs more than 512 under load."
  }
}

variable "desired_count" {
  description = "Number of ECS tasks that run the API."
  type        = number
  default     = 1

  validation {
    condition     = var.desired_count >= 1 && floor(var.desired_count) == var.desired_count
    error_message = "desired_count: a whole number, at least 1."
  }

  validation {
    condition     = var.desired_count == 1 || var.monitoring_backend == "amp"
    error_message = "desired_count: a sidecar Prometheus scrapes only its own ECS task, so two of them would each hold half of the data. For more than one ECS task set monitoring_backend = \"amp\"."
  }
}

variable "max_tasks" {
  description = "Maximum number of ECS tasks for autoscaling on CPU. Autoscaling is off unless this exceeds desired_count."
  type        = number
  default     = 1

  validation {
    condition     = var.max_tasks >= 1 && floor(var.max_tasks) == var.max_tasks
    error_message = "max_tasks: a whole number, at least 1."
  }

  validation {
    condition     = var.max_tasks <= var.desired_count || var.monitoring_backend == "amp"
    error_message = "max_tasks: autoscaling needs monitoring_backend = \"amp\", because a sidecar Prometheus scrapes only its own ECS task."
  }
}

# Network access. A prefix shorter than /8 is refused: 0.0.0.0/1 and 128.0.0.0/1 together are everyone,
# and would bypass what is said about 0.0.0.0/0.

variable "api_cidrs" {
  description = "IPv4 networks that can reach the API. There is no default, because requests carry API keys."
  type        = list(string)

  validation {
    condition     = alltrue([for cidr in var.api_cidrs : cidr == "0.0.0.0/0" || can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "api_cidrs: a list of IPv4 networks, for example [\"203.0.113.7/32\"]. The shortest prefix is /8; everyone is 0.0.0.0/0."
  }

  validation {
    condition     = local.load_balancers > 0 || var.tls_version > 0 || var.allow_plain_http || !contains(var.api_cidrs, "0.0.0.0/0")
    error_message = "api_cidrs: port 8000 is plain HTTP, so anyone on the network path can read API keys. Set domain_name, certificate_arn or tls_version for HTTPS, allow fewer networks, or set allow_plain_http = true."
  }
}

variable "allow_plain_http" {
  description = "Allow 0.0.0.0/0 to reach the API and Grafana over plain HTTP, for a trial."
  type        = bool
  default     = false
}

variable "grafana_cidrs" {
  description = "IPv4 networks that can reach Grafana on port 3000, over plain HTTP."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.grafana_cidrs : cidr == "0.0.0.0/0" || can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "grafana_cidrs: a list of IPv4 networks, for example [\"203.0.113.7/32\"]. The shortest prefix is /8; everyone is 0.0.0.0/0."
  }

  validation {
    condition     = var.allow_plain_http || !contains(var.grafana_cidrs, "0.0.0.0/0")
    error_message = "grafana_cidrs: port 3000 is plain HTTP and carries a password. Allow fewer networks, or set allow_plain_http = true."
  }
}

variable "prometheus_cidrs" {
  description = "IPv4 networks that can reach Prometheus on port 9090, in addition to Grafana. Prometheus has no authentication."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.prometheus_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "prometheus_cidrs: a list of IPv4 networks, for example [\"203.0.113.7/32\"]. 0.0.0.0/0 and prefixes shorter than /8 are refused, because Prometheus has no authentication."
  }
}

variable "node_exporter_cidrs" {
  description = "IPv4 networks that can reach node-exporter on port 9100. With an empty list it listens on localhost only."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.node_exporter_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "node_exporter_cidrs: a list of IPv4 networks, for example [\"203.0.113.7/32\"]. 0.0.0.0/0 and prefixes shorter than /8 are refused, because node-exporter has no authentication."
  }
}

variable "certificate_arn" {
  description = "ARN of a certificate. If set, the API is reachable only through a load balancer that serves HTTPS."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^${local.arn}:acm:${var.region}:${local.account_id}:certificate/[0-9a-f-]+$", var.certificate_arn))
    error_message = "certificate_arn: a certificate of AWS Certificate Manager in this account and region, ${local.arn}:acm:${var.region}:${local.account_id}:certificate/<id>, or null for no load balancer. A load balancer cannot use another one."
  }
}

variable "domain_name" {
  description = "Name of the API in hosted_zone_id. If set, a load balancer serves HTTPS under it, with a certificate that AWS renews."
  type        = string
  default     = null

  validation {
    condition     = var.domain_name == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain_name))
    error_message = "domain_name: a name in lowercase letters, for example tracker.example.com, or null for none."
  }

  validation {
    condition     = var.domain_name == null || var.certificate_arn == null
    error_message = "domain_name: it comes with its own certificate. Set only one of domain_name and certificate_arn."
  }

  validation {
    condition     = (var.domain_name == null) == (var.hosted_zone_id == null)
    error_message = "domain_name: set both or neither of domain_name and hosted_zone_id."
  }
}

variable "hosted_zone_id" {
  description = "Id of the public hosted zone of Route 53 that has domain_name."
  type        = string
  default     = null

  validation {
    condition     = var.hosted_zone_id == null || can(regex("^[A-Z0-9]{8,32}$", var.hosted_zone_id))
    error_message = "hosted_zone_id: the id of a hosted zone, for example Z0123456789ABCDEFGHIJ, or null for none."
  }
}

variable "execute_command" {
  description = "Whether `aws ecs execute-command` can open a shell in the containers of the API's ECS tasks, whose root file systems are then writable."
  type        = bool
  default     = false
}

variable "dynamodb_endpoint" {
  description = "Whether to reach DynamoDB through a gateway endpoint of the VPC, which is free, instead of its public address. A VPC can have only one."
  type        = bool
  default     = false
}

# Settings of the API

variable "board" {
  description = "Whether the board for people is served at /: on or off."
  type        = string
  default     = "on"

  validation {
    condition     = contains(["on", "off"], var.board)
    error_message = "board: on or off."
  }
}

variable "docs" {
  description = "Whether /docs and /openapi.json are served: on or off."
  type        = string
  default     = "on"

  validation {
    condition     = contains(["on", "off"], var.docs)
    error_message = "docs: on or off."
  }
}

variable "rate_limit" {
  description = "Requests per second of each API key in each ECS task, with bursts of twice as many."
  type        = number
  default     = 50

  validation {
    condition     = var.rate_limit >= 1 && floor(var.rate_limit) == var.rate_limit
    error_message = "rate_limit: a whole number, at least 1."
  }
}

variable "workspace_rate_limit" {
  description = "Requests per second of all API keys of a workspace together in each ECS task, with bursts of twice as many."
  type        = number
  default     = 200

  validation {
    condition     = var.workspace_rate_limit >= 1 && floor(var.workspace_rate_limit) == var.workspace_rate_limit
    error_message = "workspace_rate_limit: a whole number, at least 1."
  }
}

variable "cors_origins" {
  description = "Origins whose pages may call the API from a browser."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.cors_origins : can(regex("^https?://[^\\s/]+$", origin))])
    error_message = "cors_origins: a list of origins without a path, for example [\"https://app.example.com\"]."
  }
}

# Monitoring

variable "monitoring_backend" {
  description = "Where time series are stored and rules evaluated: sidecar (a Prometheus in the ECS task) or amp (Amazon Managed Service for Prometheus)."
  type        = string
  default     = "sidecar"

  validation {
    condition     = contains(["sidecar", "amp"], var.monitoring_backend)
    error_message = "monitoring_backend: sidecar or amp."
  }
}

variable "runbook_url" {
  description = "Address of monitoring/runbook.md, for links in alerts and dashboards. Empty: they name the file."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.runbook_url == "" || can(regex("^https?://[^\\s#\"]+$", var.runbook_url))
    error_message = "runbook_url: an address without an anchor, for example https://github.com/you/task-tracker/blob/main/monitoring/runbook.md."
  }
}

variable "alarm_email" {
  description = "E-mail address for CloudWatch alarms and, with amp, alerts. AWS sends it a confirmation request."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@[:space:]]+@[^@[:space:]]+\\.[^@[:space:].]+$", var.alarm_email))
    error_message = "alarm_email: an e-mail address, for example operators@example.com, or null for none."
  }

  validation {
    condition     = var.monitoring_backend != "amp" || var.alarm_email != null
    error_message = "alarm_email: with monitoring_backend = \"amp\", alerts are sent to the topic of the alarms, which has no other reader. Set an e-mail address."
  }
}

variable "monthly_budget_usd" {
  description = "Dollars a month of the whole account; alarm_email gets a message at 80 % of it, and when AWS forecasts more. null: no message."
  type        = number
  default     = null

  validation {
    condition     = var.monthly_budget_usd == null || try(var.monthly_budget_usd >= 1, false)
    error_message = "monthly_budget_usd: dollars, at least 1, or null for no message."
  }

  validation {
    condition     = var.monthly_budget_usd == null || var.alarm_email != null
    error_message = "monthly_budget_usd: AWS sends the message by e-mail. Set alarm_email, too."
  }
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch supports 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 and 731."
  }
}

# The table

variable "table_max_read_units" {
  description = "Read request units per second that the table, and each of its indexes, serves at most; then it throttles. null: AWS's quota."
  type        = number
  default     = null

  validation {
    condition     = var.table_max_read_units == null || try(var.table_max_read_units >= 1 && floor(var.table_max_read_units) == var.table_max_read_units, false)
    error_message = "table_max_read_units: a whole number, at least 1, or null for no maximum of your own."
  }
}

variable "table_max_write_units" {
  description = "Write request units per second that the table takes at most, without those of its indexes; then it throttles. null: AWS's quota."
  type        = number
  default     = null

  validation {
    condition     = var.table_max_write_units == null || try(var.table_max_write_units >= 1 && floor(var.table_max_write_units) == var.table_max_write_units, false)
    error_message = "table_max_write_units: a whole number, at least 1, or null for no maximum of your own."
  }
}

variable "table_suffix" {
  description = "End of the table's name, after <name>-tasks: that of a restored table which replaces the first one."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(-[a-z0-9]{1,32})?$", var.table_suffix))
    error_message = "table_suffix: a dash and 1 to 32 lowercase letters and digits, for example -20270131, or empty for the first table."
  }
}

# Deletion

variable "deletion_protection" {
  description = "Deletion protection of the table and the load balancer. `stack.py destroy` turns it off where it must; without stack.py, turn it off with a separate apply before a destroy."
  type        = bool
  default     = true
}

# Secrets. They are written when their version changes and never appear in a plan or a state.

variable "secrets_version" {
  description = "Raise it to write the secrets again. While it is unchanged, their values are ignored."
  type        = number
  default     = 1

  validation {
    condition     = var.secrets_version >= 1 && floor(var.secrets_version) == var.secrets_version
    error_message = "secrets_version: a whole number, at least 1."
  }
}

variable "cursor_secret" {
  description = "Secret that signs page cursors, at least 32 characters."
  type        = string
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = length(var.cursor_secret) >= 32
    error_message = "cursor_secret: at least 32 characters, for example TF_VAR_cursor_secret=$(openssl rand -hex 32)."
  }
}

variable "bootstrap_key_version" {
  description = "0 for no bootstrap key. Raise it to write bootstrap_key again; set it back to 0 to delete the key."
  type        = number
  default     = 0

  validation {
    condition     = var.bootstrap_key_version >= 0 && floor(var.bootstrap_key_version) == var.bootstrap_key_version
    error_message = "bootstrap_key_version: a whole number, 0 for no bootstrap key."
  }
}

variable "bootstrap_key" {
  description = "API key that can call only /v1/keys, to create the first key. Used while bootstrap_key_version is above 0."
  type        = string
  default     = ""
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.bootstrap_key_version == 0 || can(regex("^tt_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9a-f]{64}_[0-9a-f]{8}$", var.bootstrap_key))
    error_message = "bootstrap_key: a complete API key, for example TF_VAR_bootstrap_key=$(python3 terraform/scripts/new_key.py), or bootstrap_key_version = 0 for no bootstrap key."
  }
}

variable "tls_version" {
  description = "0 for no TLS on the ECS task. Raise it to write tls_certificate and tls_key, and again for each renewed certificate."
  type        = number
  default     = 0

  validation {
    condition     = var.tls_version >= 0 && floor(var.tls_version) == var.tls_version
    error_message = "tls_version: a whole number, 0 for no TLS on the ECS task."
  }

  validation {
    condition     = var.tls_version == 0 || local.load_balancers == 0
    error_message = "tls_version: with domain_name or certificate_arn the load balancer serves HTTPS. Set only one of the three."
  }
}

variable "tls_certificate" {
  description = "Certificate and chain of the API, as PEM text. Used while tls_version is above 0."
  type        = string
  default     = ""
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.tls_version == 0 || startswith(var.tls_certificate, "-----BEGIN CERTIFICATE-----") && length(var.tls_certificate) <= 4096
    error_message = "tls_certificate: PEM text of at most 4096 characters, which is what a parameter holds, for example TF_VAR_tls_certificate=$(cat fullchain.pem). A certificate of an elliptic-curve key is shorter. Or set tls_version = 0 for no TLS."
  }
}

variable "tls_key" {
  description = "Private key of tls_certificate, as PEM text without a passphrase."
  type        = string
  default     = ""
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.tls_version == 0 || can(regex("-----BEGIN (RSA |EC )?PRIVATE KEY-----", var.tls_key)) && length(var.tls_key) <= 4096
    error_message = "tls_key: a private key without a passphrase, as PEM text of at most 4096 characters, for example TF_VAR_tls_key=$(cat privkey.pem)."
  }
}

variable "grafana_admin_password" {
  description = "Password of Grafana's user admin, at least 16 characters."
  type        = string
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = length(var.grafana_admin_password) >= 16
    error_message = "grafana_admin_password: at least 16 characters, for example TF_VAR_grafana_admin_password=$(openssl rand -hex 16)."
  }
}

variable "alert_webhook_url" {
  description = "Webhook that receives alerts. It is a secret, because such URLs usually contain a token. Not used with amp."
  type        = string
  default     = ""
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.monitoring_backend == "amp" || startswith(var.alert_webhook_url, "https://")
    error_message = "alert_webhook_url: an https:// URL that accepts Alertmanager's webhooks."
  }
}

variable "watchdog_webhook_url" {
  description = "Dead man's switch: a webhook that raises an alarm when Alertmanager stops calling it. Not used with amp."
  type        = string
  default     = ""
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.monitoring_backend == "amp" || startswith(var.watchdog_webhook_url, "https://")
    error_message = "watchdog_webhook_url: an https:// URL that expects a call every few minutes; it gets one about every minute."
  }
}
