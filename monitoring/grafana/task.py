"""The Fargate task that all of it runs in."""

from monitoring.grafana.panels import RATE, Dashboard, Panel, Row

TASK = Dashboard(
    uid="task",
    title="Task",
    description="The Fargate task: CPU and memory by its own size, disk, network, and Prometheus. "
    "The machine around the task is larger, and its load is not shown.",
    rows=(
        Row(
            "CPU and memory",
            (
                Panel(
                    "CPU of the task",
                    "Share of what the task may use, over 5 minutes.",
                    "percentunit",
                    {"used": "task:cpu:ratio_rate5m"},
                    thresholds=(0.9,),
                    alert="TaskCPUHigh",
                ),
                Panel(
                    "Memory of the task",
                    "Share of what the task may use; the kernel's own part counts.",
                    "percentunit",
                    {"used": "task:memory:ratio"},
                    thresholds=(0.9,),
                    alert="TaskMemoryHigh",
                ),
                Panel(
                    "Memory",
                    "What is used and what there is; the API and Prometheus are two of its users.",
                    "bytes",
                    {
                        "used": 'node_memory_MemTotal_bytes{job="node"}'
                        ' - node_memory_MemAvailable_bytes{job="node"}',
                        "limit": 'task_memory_limit_bytes{job="api"}',
                        "{{job}}": 'process_resident_memory_bytes{job=~"api|prometheus"}',
                    },
                    alert="TaskMemoryHigh",
                ),
                Panel(
                    "CPU by use",
                    "CPUs in use, by what for.",
                    "short",
                    {
                        "{{mode}}": "sum by (mode) (rate(node_cpu_seconds_total"
                        f'{{job="node", mode!~"idle|guest.*"}}{RATE}))'
                    },
                ),
                Panel(
                    "CPU by process",
                    "CPUs that the API and Prometheus use.",
                    "short",
                    {"{{job}}": f'rate(process_cpu_seconds_total{{job=~"api|prometheus"}}{RATE})'},
                ),
                Panel(
                    "Kills for memory",
                    "Processes that the kernel ended within 15 minutes.",
                    "short",
                    {"killed": 'increase(node_vmstat_oom_kill{job="node"}[15m])'},
                    thresholds=(1,),
                    alert="ContainerKilledForMemory",
                ),
            ),
        ),
        Row(
            "Disk and network",
            (
                Panel(
                    "Disk left",
                    "Share of the task's storage that is free.",
                    "percentunit",
                    {
                        "{{mountpoint}}": 'node_filesystem_avail_bytes{job="node"}'
                        ' / node_filesystem_size_bytes{job="node"}'
                    },
                    thresholds=(0.1, 0.2),
                    falling=True,
                    alert="TaskDiskFull",
                    most=1,
                ),
                Panel(
                    "Disk traffic",
                    "Of all containers together.",
                    "Bps",
                    {
                        "read": f'sum(rate(node_disk_read_bytes_total{{job="node"}}{RATE}))',
                        "written": f'sum(rate(node_disk_written_bytes_total{{job="node"}}{RATE}))',
                    },
                ),
                Panel(
                    "Network",
                    "Of all containers together; what they say to each other stays out.",
                    "Bps",
                    {
                        "in": f'sum(rate(node_network_receive_bytes_total{{job="node"}}{RATE}))',
                        "out": f'sum(rate(node_network_transmit_bytes_total{{job="node"}}{RATE}))',
                    },
                ),
            ),
        ),
        Row(
            "Prometheus itself",
            (
                Panel(
                    "Targets",
                    "1 is scraped, 0 is not: then the panels made of it say nothing.",
                    "short",
                    {"{{job}}": "up"},
                    alert="TargetDown",
                    most=1,
                ),
                Panel(
                    "Series",
                    "How many it follows at the moment.",
                    "short",
                    {"series": 'prometheus_tsdb_head_series{job="prometheus"}'},
                ),
                Panel(
                    "Rules that failed",
                    "Evaluations within 5 minutes that ended in an error.",
                    "short",
                    {
                        "{{rule_group}}": "increase(prometheus_rule_evaluation_failures_total"
                        '{job="prometheus"}[5m])'
                    },
                    thresholds=(1,),
                    alert="RuleFailing",
                ),
            ),
        ),
    ),
)
