"""All dashboards. Run as a program, it writes their JSON, which Grafana's image contains."""

import json
from pathlib import Path

from monitoring.grafana.dynamodb import DYNAMODB
from monitoring.grafana.ecs_task import ECS_TASK
from monitoring.grafana.panels import Dashboard, to_json
from monitoring.grafana.service import SERVICE
from monitoring.grafana.tasks import TASKS

DIRECTORY = Path(__file__).parent / "dashboards"
DASHBOARDS = (SERVICE, DYNAMODB, ECS_TASK, TASKS)


def render(dashboard: Dashboard) -> str:
    return json.dumps(to_json(dashboard), indent=2) + "\n"


def main() -> None:
    for dashboard in DASHBOARDS:
        (DIRECTORY / f"{dashboard.uid}.json").write_text(render(dashboard))


if __name__ == "__main__":
    main()
