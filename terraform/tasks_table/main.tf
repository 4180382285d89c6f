# The DynamoDB table. A test compares keys, indexes and projections with those that the API defines.

variable "name" {
  description = "Name of the table."
  type        = string
}

variable "deletion_protection" {
  description = "Whether the table is protected against deletion."
  type        = bool
}

variable "point_in_time_recovery" {
  description = "Whether the table can be restored to any second of the last 35 days."
  type        = bool
}

variable "max_read_units" {
  description = "Maximum of read request units per second of the table and of each index. null: AWS's quota."
  type        = number
  default     = null
}

variable "max_write_units" {
  description = "Maximum of write request units per second of the table, and with it of the indexes. null: AWS's quota."
  type        = number
  default     = null
}

locals {
  # Open and closed tasks are apart: in the partition all_scope, or at the start of state_created.
  # Only open tasks have the attributes open_due and open_priority.
  indexes = {
    all_created       = { hash_key = "all_scope", range_key = "sk" }
    all_updated       = { hash_key = "all_scope", range_key = "updated_order" }
    all_due           = { hash_key = "all_scope", range_key = "open_due" }
    all_priority      = { hash_key = "all_scope", range_key = "open_priority" }
    status_created    = { hash_key = "status_scope", range_key = "sk" }
    project_created   = { hash_key = "project_scope", range_key = "state_created" }
    project_due       = { hash_key = "project_scope", range_key = "open_due" }
    project_priority  = { hash_key = "project_scope", range_key = "open_priority" }
    assignee_created  = { hash_key = "assignee_scope", range_key = "state_created" }
    assignee_due      = { hash_key = "assignee_scope", range_key = "open_due" }
    assignee_priority = { hash_key = "assignee_scope", range_key = "open_priority" }
  }
  keys = toset(concat(["pk", "sk"], flatten([for index in local.indexes : values(index)])))
}

resource "aws_dynamodb_table" "tasks" {
  #checkov:skip=CKV_AWS_119:encrypted with a key that AWS owns, which is free
  #checkov:skip=CKV_AWS_28:the stack enables point-in-time recovery; previews do not need it
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = local.keys
    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = local.indexes
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value.hash_key
      range_key       = global_secondary_index.value.range_key
      projection_type = "ALL"

      # Lists read from the indexes. Writes into them follow those of the table.
      dynamic "on_demand_throughput" {
        for_each = compact([var.max_read_units])
        content {
          max_read_request_units = on_demand_throughput.value
        }
      }
    }
  }

  dynamic "on_demand_throughput" {
    for_each = var.max_read_units == null && var.max_write_units == null ? [] : [1]
    content {
      max_read_request_units  = var.max_read_units
      max_write_request_units = var.max_write_units
    }
  }

  # Deletes expired tombstones with their comments, idempotency records and API keys.
  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    enabled = false
  }
}

output "name" {
  description = "Name of the table."
  value       = aws_dynamodb_table.tasks.name
}

output "arn" {
  description = "ARN of the table."
  value       = aws_dynamodb_table.tasks.arn
}

# For tests.

output "on_demand_throughput" {
  description = "Maximum of the table."
  value       = aws_dynamodb_table.tasks.on_demand_throughput
}

output "index_max_read_units" {
  description = "Maximum of each index."
  value       = [for index in aws_dynamodb_table.tasks.global_secondary_index : one(index.on_demand_throughput[*].max_read_request_units)]
}
