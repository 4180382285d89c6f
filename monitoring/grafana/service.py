"""What callers get."""

from monitoring.grafana.panels import RATE, Dashboard, Panel, Row, rate


def _answers(statuses: str) -> str:
    return rate("http_requests_total", "job", route="$route", status=statuses)


def _quantile(quantile: str) -> dict[str, str]:
    selector = f'{{quantile="{quantile}", route=~"$route"}}'
    return {"{{route}}": f"route:http_request_duration_seconds:quantile5m{selector}"}


SERVICE = Dashboard(
    uid="service",
    title="Service",
    description="What callers get: traffic, errors, latency, and how much of each may go wrong.",
    variables={"route": 'label_values(http_requests_total{job="api"}, route)'},
    rows=(
        Row(
            "Objectives: 99.9 % not failing, 99 % within 250 ms, under /v1",
            (
                Panel(
                    "Requests",
                    "Requests a second under /v1, over 5 minutes.",
                    "reqps",
                    {"": "job:slo_requests:rate5m"},
                    number=True,
                ),
                Panel(
                    "Failing",
                    "Share of the requests answered with a 5xx, over 5 minutes.",
                    "percentunit",
                    {"": "job:slo_errors:ratio_rate5m"},
                    thresholds=(0.001, 0.0144),
                    alert="ErrorBudgetBurn",
                    number=True,
                ),
                Panel(
                    "Error budget left",
                    "Of what the last 6 hours may fail; -100 % is overdrawn twice or worse.",
                    "percentunit",
                    {"": "clamp_min(1 - job:slo_errors:ratio_rate6h / 0.001, -1)"},
                    thresholds=(0, 0.5),
                    falling=True,
                    alert="ErrorBudgetBurn",
                    number=True,
                ),
                Panel(
                    "Slow",
                    "Share of the answers that took more than 250 ms, over 5 minutes.",
                    "percentunit",
                    {"": "job:slo_slow:ratio_rate5m"},
                    thresholds=(0.01, 0.144),
                    alert="LatencyBudgetBurn",
                    number=True,
                ),
                Panel(
                    "Latency budget left",
                    "Of what the last 6 hours may be slow, likewise.",
                    "percentunit",
                    {"": "clamp_min(1 - job:slo_slow:ratio_rate6h / 0.01, -1)"},
                    thresholds=(0, 0.5),
                    falling=True,
                    alert="LatencyBudgetBurn",
                    number=True,
                ),
                Panel(
                    "Alerts firing",
                    "Beside the watchdog, which always does.",
                    "short",
                    {"": 'count(ALERTS{alertstate="firing"}) - 1'},
                    thresholds=(1,),
                    number=True,
                ),
                Panel(
                    "How fast the error budget burns",
                    "1 uses it up exactly; 14.4 over an hour, or 6 over six, is paged.",
                    "short",
                    {
                        "1 h": "job:slo_errors:ratio_rate1h / 0.001",
                        "6 h": "job:slo_errors:ratio_rate6h / 0.001",
                    },
                    thresholds=(1, 14.4),
                    alert="ErrorBudgetBurn",
                ),
                Panel(
                    "How fast the latency budget burns",
                    "Likewise, with 1 % that may be slow.",
                    "short",
                    {
                        "1 h": "job:slo_slow:ratio_rate1h / 0.01",
                        "6 h": "job:slo_slow:ratio_rate6h / 0.01",
                    },
                    thresholds=(1, 14.4),
                    alert="LatencyBudgetBurn",
                ),
                Panel(
                    "Failing requests",
                    "Share of the requests under /v1 answered with a 5xx.",
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
                    "All that is asked, probes and scrapes included.",
                    "reqps",
                    {"{{route}}": rate("http_requests_total", "route", route="$route")},
                ),
                Panel(
                    "Answers by status",
                    "499 is a client that went away before the answer.",
                    "reqps",
                    {
                        "2xx": _answers("2.."),
                        "3xx": _answers("3.."),
                        "4xx": rate(
                            "http_requests_total",
                            "job",
                            route="$route",
                            status="4..",
                            no_status="499",
                        ),
                        "499": _answers("499"),
                        "5xx": _answers("5.."),
                    },
                ),
                Panel(
                    "In flight",
                    "Requests begun and not yet ended; the scrape sees itself.",
                    "short",
                    {"requests": 'http_requests_in_flight{job="api"}'},
                ),
            ),
        ),
        Row(
            "Latency, to the last byte, over 5 minutes",
            (
                Panel("P50", "Half of each route's answers are faster.", "s", _quantile("0.5")),
                Panel(
                    "P95",
                    "One in 20 of each route's answers is slower.",
                    "s",
                    _quantile("0.95"),
                ),
                Panel(
                    "P99",
                    "One in 100 of each route's answers is slower; the objective is 250 ms.",
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
                    "Of one CPU, which is what one event loop can use.",
                    "percentunit",
                    {"API": f'rate(process_cpu_seconds_total{{job="api"}}{RATE})'},
                    thresholds=(0.9,),
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
                    "Open ones, and those cut for what their client did or left undone.",
                    "short",
                    {
                        "open": 'http_connections{job="api"}',
                        "cut": f'sum(increase(http_connections_cut_total{{job="api"}}{RATE}))',
                    },
                ),
                Panel(
                    "Open files",
                    "Sockets are files: what is used, of what the process may open.",
                    "percentunit",
                    {"open": 'process_open_fds{job="api"} / process_max_fds{job="api"}'},
                    thresholds=(0.8,),
                ),
            ),
        ),
    ),
)
