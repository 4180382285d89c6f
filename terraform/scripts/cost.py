"""Print the table of monthly costs in docs/operations.md, from list prices of us-east-1."""

HOURS = 730
# Dollars, as AWS lists them for us-east-1; Fargate on ARM.
VCPU_HOUR = 0.03238
GIB_HOUR = 0.00356
IPV4_HOUR = 0.005
HOSTED_ZONE = 0.50
LOAD_BALANCER_HOUR = 0.0225
AMP_SAMPLE = 0.90 / 10_000_000
WRITE_UNIT = 0.625 / 1_000_000
READ_UNIT = 0.125 / 1_000_000
# Request units, from docs/data-model.md.
UNITS_PER_CREATE = 12
UNITS_PER_LIST = 3.5
# A round of the backlog, at most, every 5 minutes.
UNITS_PER_ROUND = 500
ROUNDS = HOURS * 12
SERIES = 1500
SCRAPES = HOURS * 3600 / 15


def ecs_task(vcpus: float, gib: float) -> float:
    """Return the monthly dollars of an ECS task with a public address."""
    return HOURS * (vcpus * VCPU_HOUR + gib * GIB_HOUR + IPV4_HOUR)


DEFAULT = {
    "API: ECS task with 0.5 vCPU, 1 GiB, public address": ecs_task(0.5, 1),
    "Grafana and Alertmanager: ECS task with 0.25 vCPU, 1 GiB, public address": ecs_task(0.25, 1),
    "private DNS zone": HOSTED_ZONE,
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
    '`monitoring_backend = "amp"`: 1 500 series every 15 s': SERIES * SCRAPES * AMP_SAMPLE,
}


def table() -> str:
    total = {"**default, with this traffic**": sum(DEFAULT.values())}
    rows = [f"| {item} | {dollars:.2f} |" for item, dollars in (DEFAULT | total | OPTIONS).items()]
    return "\n".join(["| item | $ per month |", "|---|---|", *rows])


if __name__ == "__main__":
    print(table())
