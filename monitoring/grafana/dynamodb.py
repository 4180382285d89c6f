"""The DynamoDB dashboard: calls as the API sees them."""

from monitoring.grafana.panels import Dashboard, Panel, Row, rate

DYNAMODB = Dashboard(
    uid="dynamodb",
    title="DynamoDB",
    description="DynamoDB calls as the API sees them: latency, errors and consumed capacity.",
    variables={"operation": 'label_values(dynamodb_calls_total{job="api"}, operation)'},
    rows=(
        Row(
            "Calls",
            (
                Panel(
                    "Calls by operation",
                    "Calls per second; a call with its retries counts once.",
                    "ops",
                    {
                        "{{operation}}": rate(
                            "dynamodb_calls_total", "operation", operation="$operation"
                        )
                    },
                ),
                Panel(
                    "P95 latency by operation",
                    "95th percentile over 5 minutes, including retries.",
                    "s",
                    {
                        "{{operation}}": "operation:dynamodb_call_duration_seconds:p95_5m"
                        '{operation=~"$operation"}'
                    },
                    thresholds=(0.1,),
                    alert="StoreSlow",
                ),
                Panel(
                    "Consumed capacity by operation",
                    "Request units per second as DynamoDB reports them; AWS bills these.",
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
            "Errors",
            (
                Panel(
                    "Error ratio",
                    "Share of calls that failed after retries, over 5 minutes, without failed "
                    "conditions and write conflicts.",
                    "percentunit",
                    {"errors": "job:dynamodb_errors:ratio_rate5m"},
                    thresholds=(0.05,),
                    alert="StoreErrors",
                ),
                Panel(
                    "Failed calls by error",
                    "Calls per second that ended in an error, including failed conditions.",
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
                    "Throttled attempts",
                    "Attempts per second that DynamoDB throttled, over 5 minutes.",
                    "ops",
                    {"throttled": "job:dynamodb_throttles:rate5m"},
                    thresholds=(0.1,),
                    alert="StoreThrottled",
                ),
                Panel(
                    "Retries",
                    "Retries per second, by the error that caused them.",
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
