"""Print the table of monthly costs in docs/operations.md, from list prices of us-east-1."""

HOURS = 730
# Dollars, as AWS lists them for us-east-1; Fargate on ARM.
VCPU_HOUR = 0.03238
GIB_HOUR = 0.00356
IPV4_HOUR = 0.005
HOSTED_ZONE = 0.50
LOAD_BALANCER_HOUR = 0.0225
AMP_SAMPLE = 0.90 / 10_000_000
AMP_SAMPLE_READ = 0.10 / 1_000_000_000
METRIC, ALARM = 0.30, 0.10
WRITE_UNIT = 0.625 / 1_000_000
READ_UNIT = 0.125 / 1_000_000
# Request units, from docs/data-model.md.
UNITS_PER_CREATE = 12
UNITS_PER_LIST = 3.5
# A round of the backlog, at most, every 5 minutes.
UNITS_PER_ROUND = 500
ROUNDS = HOURS * 12
# Of an idle ECS task: 1 646 of the API, 332 of node-exporter, 271 of Prometheus.
SERIES = 2250
SCRAPES = HOURS * 3600 / 15
# What the rules read of these: 0.72 million samples a minute, and 8.56 million every 5 minutes for
# the windows of days.
RULE_SAMPLES = HOURS * 60 * (0.72e6 + 8.56e6 / 5)
# On AMP: three, and one for each of the eight groups of rules.
AMP_ALARMS = 11


def ecs_task(vcpus: float, gib: float) -> float:
    """Return the monthly dollars of an ECS task with a public address."""
    return HOURS * (vcpus * VCPU_HOUR + gib * GIB_HOUR + IPV4_HOUR)


DEFAULT = {
    "API: ECS task with 0.5 vCPU, 1 GiB, public address": ecs_task(0.5, 1),
    "Grafana and Alertmanager: ECS task with 0.25 vCPU, 1 GiB, public address": ecs_task(0.25, 1),
    "private DNS zone": HOSTED_ZONE,
    # An alarm costs its price for each metric in it.
    "CloudWatch: 3 metrics and 5 alarms": 3 * METRIC + 7 * ALARM,
    "1 000 000 reads of one task": 1_000_000 * READ_UNIT,
    "100 000 lists of 25 tasks": 100_000 * UNITS_PER_LIST * READ_UNIT,
    "100 000 created tasks": 100_000 * UNITS_PER_CREATE * WRITE_UNIT,
    "count of the backlog, at most": ROUNDS * UNITS_PER_ROUND * READ_UNIT,
}
OPTIONS = {
    "`task_vcpus = 1`, `task_memory_mib = 2048`": ecs_task(1, 2) - ecs_task(0.5, 1),
    "each further ECS task (`desired_count`)": ecs_task(0.5, 1),
    "`domain_name` or `certificate_arn`: load balancer in two zones, without traffic": HOURS
    * (LOAD_BALANCER_HOUR + 2 * IPV4_HOUR),
    '`monitoring_backend = "amp"`: 2 250 series every 15 s, of each ECS task': SERIES
    * SCRAPES
    * AMP_SAMPLE,
    "its rules, which read the series of each ECS task": RULE_SAMPLES * AMP_SAMPLE_READ,
    "its alarms": AMP_ALARMS * ALARM,
}


def table() -> str:
    total = {"**default, with this traffic**": sum(DEFAULT.values())}
    rows = [f"| {item} | {dollars:.2f} |" for item, dollars in (DEFAULT | total | OPTIONS).items()]
    return "\n".join(["| item | $ per month |", "|---|---|", *rows])


if __name__ == "__main__":
    print(table())
