"""The Tasks dashboard: use of the tracker."""

from monitoring.grafana.panels import Dashboard, Panel, Row, rate


def _durations(metric: str) -> dict[str, str]:
    """Return quantiles over 6 hours, which are 0 if no task moved."""
    none = f'0 * sum(rate({metric}_count{{job="api"}}[6h]))'
    buckets = f'sum by (le) (rate({metric}_bucket{{job="api"}}[6h]))'
    return {
        f"P{quantile}": f"histogram_quantile(0.{quantile}, {buckets}) >= 0 or {none}"
        for quantile in (50, 90)
    }


def _open_by(label: str) -> str:
    """Return open tasks by a label, once where two ECS tasks export them."""
    return f'sum by ({label}) (max by (status, priority) (tasks_open{{job="api"}}))'


TASKS = Dashboard(
    uid="tasks",
    title="Tasks",
    description="Use of the tracker: the backlog, tasks created, finished and moved.",
    rows=(
        Row(
            "Backlog, counted every 5 minutes",
            (
                Panel(
                    "Open",
                    "Tasks to do or in progress, in all workspaces.",
                    "short",
                    {"": "job:tasks_open:sum"},
                    alert="BacklogGrowing",
                    stat=True,
                ),
                Panel(
                    "Overdue",
                    "Open tasks whose due time has passed.",
                    "short",
                    {"": 'max(tasks_overdue{job="api"})'},
                    stat=True,
                ),
                Panel(
                    "Oldest overdue",
                    "How long the oldest overdue task has been overdue.",
                    "s",
                    {"": 'max(tasks_oldest_overdue_seconds{job="api"})'},
                    thresholds=(86_400, 3 * 86_400),
                    alert="TaskLongOverdue",
                    stat=True,
                ),
                Panel(
                    "Lower bound",
                    "1: there are more open tasks, or workspaces, than a round counts for its "
                    "price. Overdue tasks are counted first.",
                    "short",
                    {"": 'max(tasks_backlog_is_lower_bound{job="api"})'},
                    thresholds=(1,),
                    stat=True,
                ),
                Panel(
                    "Failed rounds",
                    "Rounds of the last hour in which the backlog could not be counted.",
                    "short",
                    {"": 'sum(increase(backlog_rounds_total{job="api", outcome="failed"}[1h]))'},
                    thresholds=(1,),
                    stat=True,
                ),
                Panel(
                    "Open tasks by status",
                    "To do and in progress.",
                    "short",
                    {"{{status}}": _open_by("status")},
                    alert="BacklogGrowing",
                ),
                Panel(
                    "Open tasks by priority",
                    "From none to urgent.",
                    "short",
                    {"{{priority}}": _open_by("priority")},
                ),
                Panel(
                    "Overdue tasks",
                    "Open tasks whose due time has passed.",
                    "short",
                    {"overdue": 'max(tasks_overdue{job="api"})'},
                    alert="TaskLongOverdue",
                ),
            ),
        ),
        Row(
            "How long tasks take, over 6 hours",
            (
                Panel(
                    "Lead time",
                    "From the creation of a task to its move to done.",
                    "s",
                    _durations("task_lead_time_seconds"),
                ),
                Panel(
                    "Wait",
                    "From the creation of a task to its move to in progress.",
                    "s",
                    _durations("task_wait_seconds"),
                ),
            ),
        ),
        Row(
            "In the last hour",
            (
                Panel(
                    "Created",
                    "Tasks created, with any status.",
                    "short",
                    {"": 'sum(increase(tasks_created_total{job="api"}[1h]))'},
                    stat=True,
                ),
                Panel(
                    "Finished",
                    "Tasks moved to done or created as done.",
                    "short",
                    {
                        "": 'sum(increase(tasks_moved_total{job="api", to_status="done"}[1h]))'
                        ' + sum(increase(tasks_created_total{job="api", status="done"}[1h]))'
                    },
                    stat=True,
                ),
                Panel(
                    "Reopened",
                    "Tasks moved from done or cancelled back to todo.",
                    "short",
                    {
                        "": 'sum(increase(tasks_moved_total{job="api", '
                        'from_status=~"done|cancelled"}[1h]))'
                    },
                    stat=True,
                ),
            ),
        ),
        Row(
            "Over time",
            (
                Panel(
                    "Tasks created by status",
                    "By initial status.",
                    "cpm",
                    {"{{status}}": f"60 * {rate('tasks_created_total', 'status')}"},
                ),
                Panel(
                    "Tasks finished",
                    "Tasks moved to done or created as done.",
                    "cpm",
                    {
                        "finished": f"60 * ({rate('tasks_moved_total', 'job', to_status='done')}"
                        f" + {rate('tasks_created_total', 'job', status='done')})"
                    },
                ),
                Panel(
                    "Status changes",
                    "Moves from one status to another.",
                    "cpm",
                    {
                        "{{from_status}} to {{to_status}}": "60 * "
                        + rate("tasks_moved_total", "from_status, to_status")
                    },
                ),
                Panel(
                    "Bulk items by status",
                    "Items of bulk requests, by the status of their results. On the Service "
                    "dashboard a bulk is one request, whatever becomes of its items.",
                    "cpm",
                    {"{{status}}": f"60 * {rate('bulk_items_total', 'status')}"},
                ),
                Panel(
                    "Idempotent replays",
                    "Requests that repeated an idempotency key and got the stored result: clients "
                    "are losing responses.",
                    "cpm",
                    {"replays": f"60 * {rate('idempotent_replays_total', 'job')}"},
                ),
            ),
        ),
    ),
)
