# The table of api/table.py; a test compares keys, indexes and projections.

variable "name" {
  description = "Name of the table."
  type        = string
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  type        = bool
}

variable "point_in_time_recovery" {
  description = "Whether the table can be restored to any second of the last 35 days."
  type        = bool
}

locals {
  # Four scopes times four orders are sixteen lists, and an index each.
  orders = {
    created  = "sk"
    updated  = "updated_order"
    due      = "due_order"
    priority = "priority_order"
  }
  indexes = merge([
    for scope in ["all", "status", "project", "assignee"] : {
      for order, range_key in local.orders :
      "${scope}_${order}" => { hash_key = "${scope}_scope", range_key = range_key }
    }
  ]...)
  keys = toset(concat(["pk", "sk"], flatten([for index in local.indexes : values(index)])))
}

resource "aws_dynamodb_table" "tasks" {
  #checkov:skip=CKV_AWS_119:the key that AWS owns encrypts it, and costs nothing
  #checkov:skip=CKV_AWS_28:previews are thrown away; the stack turns recovery on
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
    }
  }

  # Sweeps tombstones and the records of idempotency keys.
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
