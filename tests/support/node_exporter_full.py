"""The community dashboard in Grafana's image: the metrics that each of its panels queries.

Run as a program with the path of a downloaded dashboard, it writes the committed list. It refuses a
file that is not the one that the image's build downloads.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from api.local.processes import ROOT
from tests.support.promql_queries import GRAFANA, selectors

LIST = ROOT / "tests/data/node_exporter_full.json"
ADD = re.compile(
    r"^ADD --checksum=sha256:(\w+) .*?(https://\S+/([0-9a-f]{40})/\S+\.json)",
    re.MULTILINE | re.DOTALL,
)
# The variables of its queries, inside a range or a selector.
RANGE_VARIABLE = re.compile(r"\[\$\w+\]")


class Download(NamedTuple):
    """What Grafana's Dockerfile says about the dashboard."""

    sha256: str
    url: str
    commit: str


def download() -> Download:
    (found,) = ADD.findall((GRAFANA / "Dockerfile").read_text())
    return Download(*found)


def committed() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(LIST.read_text())
    return document


def metrics(dashboard: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Return the metric names of each panel, by row and title."""
    rows: dict[str, dict[str, list[str]]] = {}
    for row, panel in _panels(dashboard["panels"]):
        names = {name for target in panel["targets"] for name in _names(target["expr"])}
        rows.setdefault(row, {})[panel["title"]] = sorted(names)
    return rows


def _panels(panels: list[dict[str, Any]], row: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each panel with its row, which holds its panels only while it is collapsed."""
    for panel in panels:
        if panel["type"] == "row":
            row = panel["title"]
            yield from _panels(panel["panels"], row)
        else:
            yield row, panel


def _names(expression: str) -> set[str]:
    return set(selectors(RANGE_VARIABLE.sub("[1m]", expression)).values())


def main() -> None:
    source = download()
    content = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(content).hexdigest() != source.sha256:
        sys.exit(f"{sys.argv[1]} is not the file at {source.url}")
    document = {"commit": source.commit, "rows": metrics(json.loads(content))}
    LIST.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
