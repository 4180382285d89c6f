"""The parts of a dashboard, and their JSON for Grafana."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from monitoring import RUNBOOK

DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
# Grafana migrates older schemas on load.
SCHEMA_VERSION = 41
COLUMNS = 24
RATE = "[$__rate_interval]"
TAG = "task-tracker"

Json = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """A stat or a time series, with its queries by legend."""

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    # Where green turns to orange and to red; a single threshold turns green to red.
    thresholds: tuple[float, ...] = ()
    low_is_bad: bool = False
    # The alert whose runbook entry the panel's description names.
    alert: str = ""
    max: float | None = None
    stat: bool = False

    @property
    def width(self) -> int:
        return 4 if self.stat else 8

    @property
    def height(self) -> int:
        return 4 if self.stat else 8


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """Rows of panels, and the variables that filter them: a query per variable gives its values."""

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
    """Return PromQL for a counter's rate; labels are regular expressions, `no_` negates one."""
    selected = {"job": 'job="api"'}
    for name, pattern in labels.items():
        operator = "!~" if name.startswith("no_") else "=~"
        selected[name] = f'{name.removeprefix("no_")}{operator}"{pattern}"'
    return f"sum by ({by}) (rate({metric}{{{', '.join(selected.values())}}}{RATE}))"


def to_json(dashboard: Dashboard) -> Json:
    """Return a dashboard as the JSON that Grafana loads."""
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
        "links": [_other_dashboards()],
        "annotations": {"list": [_starts()]},
        "templating": {"list": [_variable(*each) for each in dashboard.variables.items()]},
        "panels": list(_layout(dashboard.rows)),
    }


def _layout(rows: tuple[Row, ...]) -> Iterator[Json]:
    """Place the rows below each other and each row's panels from left to right."""
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
    runbook = f" Runbook: {RUNBOOK}#{panel.alert.lower()}" if panel.alert else ""
    return {
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        # Markdown, in which an address is a link.
        "description": f"{panel.description}{runbook}",
        "datasource": DATASOURCE,
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
            "range": not panel.stat,
            "instant": panel.stat,
        }


def _defaults(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit, "min": 0, "thresholds": _thresholds(panel)}
    if panel.max is not None:
        defaults["max"] = panel.max
    if panel.stat:
        return {**defaults, "color": {"mode": "thresholds"}}
    style = "dashed" if panel.thresholds else "off"
    custom = {"fillOpacity": 8, "showPoints": "never", "thresholdsStyle": {"mode": style}}
    return {**defaults, "color": {"mode": "palette-classic"}, "custom": custom}


def _thresholds(panel: Panel) -> Json:
    colours = ["green", "orange", "red"]
    if len(panel.thresholds) == 1:
        colours = ["green", "red"]
    if panel.low_is_bad:
        colours.reverse()
    steps = zip(colours, (None, *panel.thresholds), strict=False)
    return {
        "mode": "absolute",
        "steps": [{"color": colour, "value": value} for colour, value in steps],
    }


def _options(panel: Panel) -> Json:
    if panel.stat:
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _variable(name: str, query: str) -> Json:
    """Offer the values of a label, with all of them selected."""
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


def _starts() -> Json:
    """Mark each start of the API process with its build; the query's value is the start time."""
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
    """Link to them, with the same time range."""
    return {
        "type": "dashboards",
        "title": "Task Tracker",
        "tags": [TAG],
        "asDropdown": True,
        "keepTime": True,
        "icon": "external link",
        "includeVars": False,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }
