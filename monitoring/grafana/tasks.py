"""What people do with the tracker."""

from monitoring.grafana.panels import Dashboard, Panel, Row, rate

TASKS = Dashboard(
    uid="tasks",
    title="Tasks",
    description="What people do with the tracker.",
    rows=(
        Row(
            "In the last hour",
            (
                Panel(
                    "Created",
                    "Tasks created, whatever their status.",
                    "short",
                    {"": 'sum(increase(tasks_created_total{job="api"}[1h]))'},
                    number=True,
                ),
                Panel(
                    "Finished",
                    "Tasks that came to be done: moved there, or created so.",
                    "short",
                    {
                        "": 'sum(increase(tasks_moved_total{job="api", to_status="done"}[1h]))'
                        ' + sum(increase(tasks_created_total{job="api", status="done"}[1h]))'
                    },
                    number=True,
                ),
                Panel(
                    "Reopened",
                    "Tasks that were finished or cancelled, and are to be done again.",
                    "short",
                    {
                        "": 'sum(increase(tasks_moved_total{job="api", '
                        'from_status=~"done|cancelled"}[1h]))'
                    },
                    number=True,
                ),
            ),
        ),
        Row(
            "Over time",
            (
                Panel(
                    "Created",
                    "By the status they began with.",
                    "cpm",
                    {"{{status}}": f"60 * {rate('tasks_created_total', 'status')}"},
                ),
                Panel(
                    "Finished",
                    "Moved to done, or created so.",
                    "cpm",
                    {
                        "finished": f"60 * ({rate('tasks_moved_total', 'job', to_status='done')}"
                        f" + {rate('tasks_created_total', 'job', status='done')})"
                    },
                ),
                Panel(
                    "Moves",
                    "From one status to another.",
                    "cpm",
                    {
                        "{{from_status}} to {{to_status}}": "60 * "
                        + rate("tasks_moved_total", "from_status, to_status")
                    },
                ),
                Panel(
                    "Repeated requests",
                    "Answered with what an earlier one under the same key had done: somewhere "
                    "answers get lost.",
                    "cpm",
                    {"replays": f"60 * {rate('idempotent_replays_total', 'job')}"},
                ),
            ),
        ),
    ),
)
