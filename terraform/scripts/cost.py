"""Print what a month costs, by list prices of us-east-1: of the default, and of each option."""

from typing import NamedTuple

HOURS = 730
# Dollars, as AWS lists them for us-east-1, Fargate on ARM.
VCPU_HOUR = 0.03238
GIB_HOUR = 0.00356
IPV4_HOUR = 0.005
ZONE = 0.50
LOAD_BALANCER_HOUR = 0.0225
SAMPLES = 0.90 / 10_000_000
WRITES = 0.625 / 1_000_000
READS = 0.125 / 1_000_000
# What the service consumes for a request, as docs/data-model.md has it, and a scrape's series.
UNITS_TO_CREATE = 17
UNITS_TO_LIST = 3.5
SERIES = 1500
SCRAPES = HOURS * 3600 / 15


class Row(NamedTuple):
    """Something that costs, and its dollars a month."""

    what: str
    dollars: float


def task(vcpus: float, gib: float) -> float:
    """Add up a task that runs all month, with its public address."""
    return HOURS * (vcpus * VCPU_HOUR + gib * GIB_HOUR + IPV4_HOUR)


def default() -> list[Row]:
    return [
        Row("the task: 0.5 vCPU, 1 GiB, an address", task(0.5, 1)),
        Row("Grafana: 0.25 vCPU, 0.5 GiB, an address", task(0.25, 0.5)),
        Row("the private zone", ZONE),
        Row("a million reads of one task", 1_000_000 * READS),
        Row("100 000 lists of 25", 100_000 * UNITS_TO_LIST * READS),
        Row("100 000 tasks created", 100_000 * UNITS_TO_CREATE * WRITES),
    ]


def options() -> list[Row]:
    return [
        Row("`task_vcpus = 1`, `task_memory_mib = 2048`", task(1, 2) - task(0.5, 1)),
        Row("each task more (`desired_count`)", task(0.5, 1)),
        Row(
            "HTTPS (`certificate_arn`): a load balancer in two zones, before its traffic",
            HOURS * (LOAD_BALANCER_HOUR + 2 * IPV4_HOUR),
        ),
        Row(
            '`monitoring_backend = "amp"`, a task\'s series every 15 s', SERIES * SCRAPES * SAMPLES
        ),
    ]


def table() -> str:
    rows = default()
    total = Row("**the default, with that traffic**", sum(row.dollars for row in rows))
    lines = [f"| {row.what} | {row.dollars:.2f} |" for row in [*rows, total, *options()]]
    return "\n".join(["| what | $ a month |", "|---|---|", *lines])


if __name__ == "__main__":
    print(table())
