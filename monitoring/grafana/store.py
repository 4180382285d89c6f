"""DynamoDB as the API sees it."""

from monitoring.grafana.panels import Dashboard, Panel, Row, rate

STORE = Dashboard(
    uid="store",
    title="Store",
    description="DynamoDB as the API sees it: latency, failures, and what it will cost.",
    variables={"operation": 'label_values(dynamodb_calls_total{job="api"}, operation)'},
    rows=(
        Row(
            "Calls",
            (
                Panel(
                    "Calls by operation",
                    "A call with its retries counts once.",
                    "ops",
                    {
                        "{{operation}}": rate(
                            "dynamodb_calls_total", "operation", operation="$operation"
                        )
                    },
                ),
                Panel(
                    "P95 by operation",
                    "One call in 20 takes longer, retries included, over 5 minutes.",
                    "s",
                    {
                        "{{operation}}": "operation:dynamodb_call_duration_seconds:p95_5m"
                        '{operation=~"$operation"}'
                    },
                    thresholds=(0.1,),
                    alert="StoreSlow",
                ),
                Panel(
                    "Capacity by operation",
                    "Request units that DynamoDB reported as consumed: what is paid for.",
                    "short",
                    {
                        "{{operation}}": rate(
                            "dynamodb_consumed_capacity_units_total",
                            "operation",
                            operation="$operation",
                        )
                    },
                ),
            ),
        ),
        Row(
            "What goes wrong",
            (
                Panel(
                    "Failing calls",
                    "Share of the calls that failed for good, over 5 minutes; refused conditions "
                    "and conflicts are answers.",
                    "percentunit",
                    {"failing": "job:dynamodb_errors:ratio_rate5m"},
                    thresholds=(0.05,),
                    alert="StoreErrors",
                ),
                Panel(
                    "Ends that are not ok",
                    "By error: those that failed, and refused conditions.",
                    "ops",
                    {
                        "{{outcome}}": rate(
                            "dynamodb_calls_total",
                            "outcome",
                            operation="$operation",
                            no_outcome="ok",
                        )
                    },
                ),
                Panel(
                    "Throttles",
                    "Attempts that DynamoDB sent back, overcome by a retry or not, over 5 minutes.",
                    "ops",
                    {"throttled": "job:dynamodb_throttles:rate5m"},
                    thresholds=(0.1,),
                    alert="StoreThrottled",
                ),
                Panel(
                    "Retries",
                    "Attempts beyond the first, by what went wrong with the one before.",
                    "ops",
                    {
                        "{{reason}}": rate(
                            "dynamodb_retries_total", "reason", operation="$operation"
                        )
                    },
                    alert="StoreErrors",
                ),
            ),
        ),
    ),
)
