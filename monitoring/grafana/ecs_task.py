"""The ECS task dashboard: the resources that the containers share."""

from monitoring.grafana.panels import RATE, Dashboard, Panel, Row

ECS_TASK = Dashboard(
    uid="ecs-task",
    title="ECS task",
    description="CPU and memory relative to the ECS task's limits, disk, network, Prometheus.",
    rows=(
        Row(
            "CPU and memory",
            (
                Panel(
                    "CPU use",
                    "Share of the ECS task's CPU limit, over 5 minutes.",
                    "percentunit",
                    {"used": "task:cpu:ratio_rate5m"},
                    thresholds=(0.9,),
                    alert="TaskCPUHigh",
                ),
                Panel(
                    "Memory use",
                    "Share of the ECS task's memory limit, including kernel memory.",
                    "percentunit",
                    {"used": "task:memory:ratio"},
                    thresholds=(0.9,),
                    alert="TaskMemoryHigh",
                ),
                Panel(
                    "Memory by process",
                    "Memory used in total and by the API and Prometheus, and the limit.",
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
                    "CPU by mode",
                    "CPUs in use by mode: user, system, iowait and so on.",
                    "short",
                    {
                        "{{mode}}": "sum by (mode) (rate(node_cpu_seconds_total"
                        f'{{job="node", mode!~"idle|guest.*"}}{RATE}))'
                    },
                ),
                Panel(
                    "CPU by process",
                    "CPUs used by the API and by Prometheus.",
                    "short",
                    {"{{job}}": f'rate(process_cpu_seconds_total{{job=~"api|prometheus"}}{RATE})'},
                ),
                Panel(
                    "OOM kills",
                    "Processes killed for lack of memory in the last 15 minutes.",
                    "short",
                    {"kills": 'increase(node_vmstat_oom_kill{job="node"}[15m])'},
                    thresholds=(1,),
                    alert="ContainerKilledForMemory",
                ),
            ),
        ),
        Row(
            "Disk and network",
            (
                Panel(
                    "Free disk space",
                    "Share of the ECS task's storage that is free.",
                    "percentunit",
                    {
                        "{{mountpoint}}": 'node_filesystem_avail_bytes{job="node"}'
                        ' / node_filesystem_size_bytes{job="node"}'
                    },
                    thresholds=(0.1, 0.2),
                    low_is_bad=True,
                    alert="TaskDiskFull",
                    max=1,
                ),
                Panel(
                    "Disk I/O",
                    "All containers together.",
                    "Bps",
                    {
                        "read": f'sum(rate(node_disk_read_bytes_total{{job="node"}}{RATE}))',
                        "written": f'sum(rate(node_disk_written_bytes_total{{job="node"}}{RATE}))',
                    },
                ),
                Panel(
                    "Network",
                    "All containers together, without loopback.",
                    "Bps",
                    {
                        "in": f'sum(rate(node_network_receive_bytes_total{{job="node"}}{RATE}))',
                        "out": f'sum(rate(node_network_transmit_bytes_total{{job="node"}}{RATE}))',
                    },
                ),
            ),
        ),
        Row(
            "Prometheus",
            (
                Panel(
                    "Targets",
                    "1: the last scrape succeeded; 0: it failed, and its panels have no data.",
                    "short",
                    {"{{job}}": "up"},
                    alert="TargetDown",
                    max=1,
                ),
                Panel(
                    "Series",
                    "Active series in Prometheus.",
                    "short",
                    {"series": 'prometheus_tsdb_head_series{job="prometheus"}'},
                ),
                Panel(
                    "Rule failures",
                    "Failed rule evaluations in the last 5 minutes.",
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
