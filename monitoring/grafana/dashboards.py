"""The dashboards. Run as a program it writes each as JSON, which is what Grafana is given."""

import json
from pathlib import Path

from monitoring.grafana.panels import Dashboard, document
from monitoring.grafana.service import SERVICE
from monitoring.grafana.store import STORE
from monitoring.grafana.task import TASK
from monitoring.grafana.tasks import TASKS

DIRECTORY = Path(__file__).parent / "dashboards"
DASHBOARDS = (SERVICE, STORE, TASK, TASKS)


def text(dashboard: Dashboard) -> str:
    return json.dumps(document(dashboard), indent=2) + "\n"


def main() -> None:
    for dashboard in DASHBOARDS:
        (DIRECTORY / f"{dashboard.uid}.json").write_text(text(dashboard))


if __name__ == "__main__":
    main()
