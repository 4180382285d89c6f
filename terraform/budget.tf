# Optional: a message before the account's bill exceeds monthly_budget_usd. It covers the whole account,
# because AWS knows the tag `project` only after someone has activated it for billing.

resource "aws_budgets_budget" "month" {
  count        = var.monthly_budget_usd == null ? 0 : 1
  name         = "${var.name}-month"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type          = notification.key
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      comparison_operator        = "GREATER_THAN"
      subscriber_email_addresses = [var.alarm_email]
    }
  }
}
