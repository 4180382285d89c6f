"""`make pictures`: the dashboards as pictures, drawn from what their panels asked in the last run.

Not Grafana's own drawing: the same queries on the same Prometheus, by matplotlib.
"""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import dates
from matplotlib import pyplot as plt

from monitoring.grafana.dashboards import DASHBOARDS
from monitoring.grafana.panels import Dashboard, Panel

ROOT = Path(__file__).parents[2]
COLUMNS = 3
COLOURS = ("#1f6feb", "#d97706", "#15803d", "#b91c1c", "#7c3aed", "#0e7490", "#64748b", "#be185d")
GRID, TEXT, QUIET, OBJECTIVE = "#e5e7eb", "#374151", "#9ca3af", "#b91c1c"

Course = dict[str, Any]

mpl.use("svg")
# The same input makes the same file.
mpl.rcParams.update(
    {"svg.hashsalt": "task-tracker", "svg.fonttype": "none", "font.size": 7, "text.color": TEXT}
)


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def _share(value: float) -> str:
    return f"{value * 100:.3g} %"


def _plain(value: float) -> str:
    return f"{value:.4g}"


UNITS: dict[str, Callable[[float], str]] = {
    "s": _seconds,
    "bytes": _bytes,
    "Bps": lambda value: f"{_bytes(value)}/s",
    "percentunit": _share,
}
NAMES = {"reqps": "/s", "ops": "/s", "cpm": "/min"}


def _written(panel: Panel, value: float) -> str:
    return UNITS.get(panel.unit, _plain)(value) + NAMES.get(panel.unit, "")


def _draw_number(axis: Any, panel: Panel, courses: list[Course]) -> None:
    value = float(courses[0]["series"][0]["values"][-1][1])
    axis.set_axis_off()
    axis.set_title(panel.title, fontsize=8, loc="left")
    axis.text(0.5, 0.45, _written(panel, value), ha="center", va="center", fontsize=17)


def _draw_course(axis: Any, panel: Panel, courses: list[Course]) -> None:
    lines = [
        (_legend(course, each), each["values"]) for course in courses for each in course["series"]
    ]
    colours = itertools.cycle(COLOURS)
    for legend, values in sorted(lines):
        moments = [datetime.fromtimestamp(moment, UTC) for moment, _ in values]
        heights = [float(height) for _, height in values]
        # What was never more than 0 needs no name of its own here.
        shown = {"label": legend, "color": next(colours)} if any(heights) else {"color": QUIET}
        axis.plot(moments, heights, lw=1.1, **shown)
    axis.set_title(panel.title, fontsize=8, loc="left")
    axis.set_ylim(0, None if axis.get_legend_handles_labels()[1] else 1)
    for threshold in panel.thresholds:
        if threshold <= axis.get_ylim()[1] * 1.5:
            axis.axhline(threshold, color=OBJECTIVE, lw=0.7, ls="--")
    axis.yaxis.set_major_formatter(lambda value, _: _written(panel, value))
    axis.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    axis.xaxis.set_major_locator(dates.MinuteLocator())
    axis.grid(color=GRID, lw=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_legend_handles_labels()[1]:
        axis.legend(fontsize=5, ncols=2, loc="upper left", frameon=False)


def _legend(course: Course, series: Course) -> str:
    """Fill a legend in as Grafana does."""
    legend: str = course["legend"]
    for name, value in series["metric"].items():
        legend = legend.replace(f"{{{{{name}}}}}", value)
    return legend


def _rows(panels: list[Panel]) -> list[list[Panel]]:
    """Put numbers in rows of six and courses in rows of three, in their order."""
    rows: list[list[Panel]] = []
    for panel in panels:
        most = 2 * COLUMNS if panel.number else COLUMNS
        if rows and rows[-1][0].number == panel.number and len(rows[-1]) < most:
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows


def draw(dashboard: Dashboard, courses: dict[str, list[list[Course]]], path: Path) -> None:
    """Draw all panels of one dashboard; each title's courses come in the order of the panels."""
    rows = _rows(list(dashboard.panels))
    heights = [0.35 if row[0].number else 1.0 for row in rows]
    figure = plt.figure(figsize=(12, 2.1 * sum(heights) + 0.5), layout="constrained")
    figure.suptitle(f"{dashboard.title}: {dashboard.description}", fontsize=9)
    grid = figure.add_gridspec(len(rows), 2 * COLUMNS, height_ratios=heights)
    for place, row in enumerate(rows):
        for number, panel in enumerate(row):
            width = 1 if panel.number else 2
            axis = figure.add_subplot(grid[place, number * width : (number + 1) * width])
            drawn = _draw_number if panel.number else _draw_course
            drawn(axis, panel, courses[f"{dashboard.uid}: {panel.title}"].pop(0))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    kept: dict[str, list[Course]] = {}
    for course in json.loads((ROOT / "build/panels.json").read_text()):
        kept.setdefault(course["place"], []).append(course)
    for dashboard in DASHBOARDS:
        courses: dict[str, list[list[Course]]] = {}
        for panel in dashboard.panels:
            place = f"{dashboard.uid}: {panel.title}"
            mine, kept[place] = kept[place][: len(panel.queries)], kept[place][len(panel.queries) :]
            courses.setdefault(place, []).append(mine)
        draw(dashboard, courses, ROOT / "docs" / "images" / f"dashboard-{dashboard.uid}.svg")


if __name__ == "__main__":
    main()
