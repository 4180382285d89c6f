"""Node Exporter Full, which Grafana's image contains, has the metrics that it queries."""

import re
import subprocess
import urllib.request

import pytest
import yaml

from api.local.processes import ROOT
from tests.support import node_exporter_full
from tests.support.ports import free_port, wait_until_taken
from tests.support.promql_queries import GRAFANA
from tests.support.require_tool import require_tool

START_SECONDS = 20
NODE_EXPORTER = "prometheus-node-exporter"
ROWS: dict[str, dict[str, list[str]]] = node_exporter_full.committed()["rows"]
# The rows that are open when the dashboard is opened: CPU, memory, disk and network.
MAIN_ROWS = [row for row in ROWS if re.search(r"(Mem|Memory) / (Net / )?Disk", row)]
# Kernels and versions of node-exporter differ; these are also named in docs/monitoring.md.
FROM_SOME_MACHINES = re.compile(
    r"node_(pressure|schedstat)_\w+|node_softnet_(flow|received)\w+|node_memory_HardwareCorrupted\w+"
)
# The only metric that Prometheus adds itself.
UP = "up"


@pytest.fixture(scope="module")
def names() -> set[str]:
    """The metric names of a live node-exporter with the deployed flags."""
    require_tool(NODE_EXPORTER, package=NODE_EXPORTER)
    port = free_port()
    flags = (ROOT / "monitoring/node-exporter/flags").read_text().replace(":9100", f":{port}")
    with subprocess.Popen(
        [NODE_EXPORTER, *flags.splitlines()], stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert wait_until_taken(port, process, START_SECONDS)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
                lines = response.read().decode().splitlines()
        finally:
            process.kill()
    series = [line for line in lines if not line.startswith("#")]
    found = {re.split(r"[{ ]", line)[0] for line in series}
    print(f"{len(series)} series; {len(shown(found))} of {len(panels())} panels have data")
    return found


def panels() -> dict[str, list[str]]:
    return {title: queried for row in ROWS.values() for title, queried in row.items()}


def shown(names: set[str]) -> set[str]:
    return {title for title, queried in panels().items() if names & set(queried)}


@pytest.mark.parametrize("row", MAIN_ROWS)
def test_the_panels_of_cpu_memory_disk_and_network_have_their_metrics(
    row: str, names: set[str]
) -> None:
    """All of them, except those that not every machine has."""
    missing = {name for queried in ROWS[row].values() for name in queried} - names - {UP}
    assert {name for name in missing if not FROM_SOME_MACHINES.fullmatch(name)} == set()


def test_the_variables_of_the_dashboard_have_values(names: set[str]) -> None:
    """Job, host and instance are labels of this metric; without it, no panel has data."""
    assert len(MAIN_ROWS) == 3
    assert "node_uname_info" in names


def test_the_panels_that_stay_empty_are_documented(names: set[str]) -> None:
    """docs/monitoring.md names each with the reason, and no panel that has data."""
    document = (ROOT / "docs/monitoring.md").read_text()
    section = document.partition("These panels of Node Exporter Full stay empty")[2]
    named = re.findall(r"\*(.+?)\*", section.partition("\n\n## ")[0])
    documented = {title for name in named for title in ROWS.get(name, {name: []})}
    empty = set(panels()) - shown(names)
    assert documented <= empty
    for title in empty - documented:
        assert FROM_SOME_MACHINES.fullmatch(panels()[title][0])


def test_the_list_of_metrics_belongs_to_the_downloaded_revision() -> None:
    """`python -m tests.support.node_exporter_full` writes it from the file with the hash."""
    assert node_exporter_full.committed()["commit"] == node_exporter_full.download().commit


def test_grafana_provisions_the_dashboard_that_its_image_downloads() -> None:
    """It is in the provisioned directory, readable by Grafana's user."""
    dockerfile = (GRAFANA / "Dockerfile").read_text()
    (added,) = re.findall(
        r"^ADD .*?--chmod=0444 \\\n.*?(/etc/\S+)/$", dockerfile, re.MULTILINE | re.DOTALL
    )
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/community.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == added
