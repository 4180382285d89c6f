"""The Service dashboard: traffic, errors and latency as callers see them."""

from monitoring.grafana.panels import RATE, Dashboard, Panel, Row, rate


def _responses(statuses: str) -> str:
    return rate("http_requests_total", "job", route="$route", status=statuses)


def _quantile(quantile: str) -> dict[str, str]:
    selector = f'{{quantile="{quantile}", route=~"$route"}}'
    return {"{{route}}": f"route:http_request_duration_seconds:quantile5m{selector}"}


SERVICE = Dashboard(
    uid="service",
    title="Service",
    description="Traffic, errors, latency and error budgets as callers see them.",
    variables={"route": 'label_values(http_requests_total{job="api"}, route)'},
    rows=(
        Row(
            "Objectives for /v1: 99.9 % without a 5xx, 99 % within 250 ms",
            (
                Panel(
                    "Requests",
                    "Requests per second under /v1, over 5 minutes.",
                    "reqps",
                    {"": "job:slo_requests:rate5m"},
                    stat=True,
                ),
                Panel(
                    "Error ratio",
                    "Share of requests under /v1 that got a 5xx, over 5 minutes.",
                    "percentunit",
                    {"": "job:slo_errors:ratio_rate5m"},
                    thresholds=(0.001, 0.0144),
                    alert="ErrorBudgetBurn",
                    stat=True,
                ),
                Panel(
                    "Error budget left",
                    "Share of the 6 h budget that is unused; -100 % is twice the budget or more.",
                    "percentunit",
                    {"": "clamp_min(1 - job:slo_errors:ratio_rate6h / 0.001, -1)"},
                    thresholds=(0, 0.5),
                    low_is_bad=True,
                    alert="ErrorBudgetBurn",
                    stat=True,
                ),
                Panel(
                    "Slow ratio",
                    "Share of responses under /v1 that took more than 250 ms, over 5 minutes.",
                    "percentunit",
                    {"": "job:slo_slow:ratio_rate5m"},
                    thresholds=(0.01, 0.144),
                    alert="LatencyBudgetBurn",
                    stat=True,
                ),
                Panel(
                    "Latency budget left",
                    "Share of the 6 h budget that is unused; -100 % is twice the budget or more.",
                    "percentunit",
                    {"": "clamp_min(1 - job:slo_slow:ratio_rate6h / 0.01, -1)"},
                    thresholds=(0, 0.5),
                    low_is_bad=True,
                    alert="LatencyBudgetBurn",
                    stat=True,
                ),
                Panel(
                    "Alerts firing",
                    "Without the watchdog, which always fires.",
                    "short",
                    {
                        "": 'count(ALERTS{alertstate="firing"})'
                        ' - (count(ALERTS{alertname="Watchdog"}) or vector(0)) or vector(0)'
                    },
                    thresholds=(1,),
                    stat=True,
                ),
                Panel(
                    "Error budget burn rate",
                    "1 uses the budget exactly; above 14.4 over 1 h or 6 over 6 h an alert pages.",
                    "short",
                    {
                        "1 h": "job:slo_errors:ratio_rate1h / 0.001",
                        "6 h": "job:slo_errors:ratio_rate6h / 0.001",
                    },
                    thresholds=(1, 14.4),
                    alert="ErrorBudgetBurn",
                ),
                Panel(
                    "Latency budget burn rate",
                    "1 uses the budget exactly; above 14.4 over 1 h or 6 over 6 h an alert pages.",
                    "short",
                    {
                        "1 h": "job:slo_slow:ratio_rate1h / 0.01",
                        "6 h": "job:slo_slow:ratio_rate6h / 0.01",
                    },
                    thresholds=(1, 14.4),
                    alert="LatencyBudgetBurn",
                ),
                Panel(
                    "Error ratio over time",
                    "Share of requests under /v1 that got a 5xx.",
                    "percentunit",
                    {
                        "5 min": "job:slo_errors:ratio_rate5m",
                        "1 h": "job:slo_errors:ratio_rate1h",
                    },
                    thresholds=(0.001,),
                    alert="ErrorBudgetBurn",
                ),
            ),
        ),
        Row(
            "Traffic",
            (
                Panel(
                    "Requests by route",
                    "All requests, including probes and scrapes.",
                    "reqps",
                    {"{{route}}": rate("http_requests_total", "route", route="$route")},
                ),
                Panel(
                    "Responses by status",
                    "499: the client disconnected before the response.",
                    "reqps",
                    {
                        "2xx": _responses("2.."),
                        "3xx": _responses("3.."),
                        "4xx": rate(
                            "http_requests_total",
                            "job",
                            route="$route",
                            status="4..",
                            no_status="499",
                        ),
                        "499": _responses("499"),
                        "5xx": _responses("5.."),
                    },
                ),
                Panel(
                    "Requests in flight",
                    "Requests being processed, including the scrape itself, and those that wait "
                    "for a change.",
                    "short",
                    {
                        "in flight": 'http_requests_in_flight{job="api"}',
                        "waiting": 'http_requests_waiting{job="api"}',
                    },
                ),
            ),
        ),
        Row(
            "Latency to the last byte, over 5 minutes",
            (
                Panel("P50", "Median latency per route.", "s", _quantile("0.5")),
                Panel(
                    "P95",
                    "95th percentile per route.",
                    "s",
                    _quantile("0.95"),
                ),
                Panel(
                    "P99",
                    "99th percentile per route; the objective is 250 ms.",
                    "s",
                    _quantile("0.99"),
                    thresholds=(0.25,),
                    alert="LatencyBudgetBurn",
                ),
            ),
        ),
        Row(
            "Saturation of the API process",
            (
                Panel(
                    "CPU",
                    "Share of the CPU that the API process can use, over 5 minutes: of one CPU, or "
                    "of the ECS task's limit if that is less.",
                    "percentunit",
                    {"API": "instance:api_cpu:ratio_rate5m"},
                    thresholds=(0.8,),
                    alert="EventLoopBusy",
                ),
                Panel(
                    "Memory",
                    "Resident memory of the API process.",
                    "bytes",
                    {"API": 'process_resident_memory_bytes{job="api"}'},
                ),
                Panel(
                    "Connections",
                    "Open connections, and those that the API cut: slow, idle or too many.",
                    "short",
                    {
                        "open": 'http_connections{job="api"}',
                        "cut": f'sum(increase(http_connections_cut_total{{job="api"}}{RATE}))',
                    },
                ),
                Panel(
                    "Open files",
                    "Share of the process's file descriptor limit in use, sockets included.",
                    "percentunit",
                    {"open": 'process_open_fds{job="api"} / process_max_fds{job="api"}'},
                    thresholds=(0.8,),
                ),
            ),
        ),
    ),
)
