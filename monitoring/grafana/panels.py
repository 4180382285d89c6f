"""What a dashboard is made of, and how Grafana writes it down."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
RUNBOOK = "https://github.com/OWNER/task-tracker/blob/main/monitoring/runbook.md"
# Grafana migrates an older schema when it loads it.
SCHEMA_VERSION = 41
COLUMNS = 24
RATE = "[$__rate_interval]"
TAG = "task-tracker"

Json = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """A title, what it tells, and the queries that it draws, by what their legend says."""

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    # Where green ends, and where the next colour does; a panel without them has no opinion.
    thresholds: tuple[float, ...] = ()
    # Of values that are good while they are high.
    falling: bool = False
    # The alert that a bad value of this brings.
    alert: str = ""
    most: float | None = None
    number: bool = False

    @property
    def width(self) -> int:
        return 4 if self.number else 8

    @property
    def height(self) -> int:
        return 4 if self.number else 8


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """Rows of panels; a variable narrows what they show, and has its values from a query."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def panels(self) -> Iterator[Panel]:
        for row in self.rows:
            yield from row.panels


def rate(metric: str, by: str, **labels: str) -> str:
    """Sum a counter's rate; labels are regular expressions, `no_` turns one round."""
    selected = {"job": 'job="api"'}
    for name, pattern in labels.items():
        operator = "!~" if name.startswith("no_") else "=~"
        selected[name] = f'{name.removeprefix("no_")}{operator}"{pattern}"'
    return f"sum by ({by}) (rate({metric}{{{', '.join(selected.values())}}}{RATE}))"


def document(dashboard: Dashboard) -> Json:
    """Write a dashboard as the JSON that Grafana loads."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "links": [_other_dashboards(), _link("Runbook", RUNBOOK)],
        "annotations": {"list": [_deployments()]},
        "templating": {"list": [_variable(*each) for each in dashboard.variables.items()]},
        "panels": list(_placed(dashboard.rows)),
    }


def _placed(rows: tuple[Row, ...]) -> Iterator[Json]:
    """Lay rows below each other, and the panels of each from left to right."""
    ids, top = count(1), 0
    for row in rows:
        yield {
            "id": next(ids),
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        top += 1
        left = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top = 0, top + panel.height
            position = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield {"id": next(ids), "gridPos": position, **_panel(panel)}
            left += panel.width
        top += row.panels[-1].height


def _panel(panel: Panel) -> Json:
    links = [_link("Runbook", f"{RUNBOOK}#{panel.alert.lower()}")] if panel.alert else []
    return {
        "type": "stat" if panel.number else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "links": links,
        "targets": list(_targets(panel)),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _targets(panel: Panel) -> Iterator[Json]:
    for letter, (legend, expression) in zip("ABCDEFGH", panel.queries.items(), strict=False):
        yield {
            "refId": letter,
            "datasource": DATASOURCE,
            "expr": expression,
            "legendFormat": legend,
            "range": not panel.number,
            "instant": panel.number,
        }


def _defaults(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit, "min": 0, "thresholds": _thresholds(panel)}
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.number:
        return {**defaults, "color": {"mode": "thresholds"}}
    style = "dashed" if panel.thresholds else "off"
    custom = {"fillOpacity": 8, "showPoints": "never", "thresholdsStyle": {"mode": style}}
    return {**defaults, "color": {"mode": "palette-classic"}, "custom": custom}


def _thresholds(panel: Panel) -> Json:
    colours = ["green", "orange", "red"]
    if len(panel.thresholds) == 1:
        colours = ["green", "red"]
    if panel.falling:
        colours.reverse()
    steps = zip(colours, (None, *panel.thresholds), strict=False)
    return {
        "mode": "absolute",
        "steps": [{"color": colour, "value": value} for colour, value in steps],
    }


def _options(panel: Panel) -> Json:
    if panel.number:
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _variable(name: str, query: str) -> Json:
    """Let a reader choose some of a label's values, all of them at first."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _deployments() -> Json:
    """Mark when a build began to run: its process started, and the value says when."""
    return {
        "name": "Deployments",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": 'process_start_time_seconds{job="api"} * on (instance) group_left (build) '
        'task_tracker_build{job="api"} * 1000',
        "step": "60s",
        "useValueForTime": True,
        "titleFormat": "Build {{build}} started",
    }


def _other_dashboards() -> Json:
    return {"type": "dashboards", "title": "Task Tracker", "tags": [TAG], "asDropdown": True}


def _link(title: str, url: str) -> Json:
    return {"type": "link", "title": title, "url": url, "targetBlank": True}
