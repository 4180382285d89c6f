"""`make pictures`: draw the Service dashboard from the last `make stack-test`, with matplotlib.

The queries are the dashboard's, the drawing is not Grafana's.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import dates
from matplotlib import pyplot as plt

from monitoring.grafana.panels import Panel
from monitoring.grafana.service import SERVICE

ROOT = Path(__file__).parents[2]
COLOURS = ("#1f6feb", "#d97706", "#15803d", "#b91c1c", "#7c3aed", "#0e7490", "#64748b", "#be185d")
GRID, TEXT, ZERO, THRESHOLD = "#e5e7eb", "#374151", "#9ca3af", "#b91c1c"
STATS_PER_ROW, GRAPHS_PER_ROW = 6, 3

# The series of a panel by the legend of their query.
Data = dict[str, list[dict[str, Any]]]


def _format(panel: Panel, value: float) -> str:
    match panel.unit:
        case "s":
            return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "reqps":
            return f"{value:.4g}/s"
        case _:
            return f"{value:.4g}"


def _draw_stat(axis: Any, panel: Panel, data: Data) -> None:
    value = float(data[""][0]["values"][-1][1])
    axis.set_axis_off()
    axis.text(0.5, 0.45, _format(panel, value), ha="center", va="center", fontsize=17)


def _draw_graph(axis: Any, panel: Panel, data: Data) -> None:
    colours = itertools.cycle(COLOURS)
    for legend, values in sorted(_lines(data)):
        times = [datetime.fromtimestamp(time, UTC) for time, _ in values]
        heights = [float(height) for _, height in values]
        # A line that is always 0 gets no legend.
        style = {"label": legend, "color": next(colours)} if any(heights) else {"color": ZERO}
        axis.plot(times, heights, lw=1.1, **style)
    labelled = axis.get_legend_handles_labels()[1]
    axis.set_ylim(0, None if labelled else 1)
    for threshold in panel.thresholds:
        if threshold <= axis.get_ylim()[1] * 1.5:
            axis.axhline(threshold, color=THRESHOLD, lw=0.7, ls="--")
    axis.yaxis.set_major_formatter(lambda value, _: _format(panel, value))
    axis.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    axis.xaxis.set_major_locator(dates.MinuteLocator())
    axis.grid(color=GRID, lw=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    if labelled:
        axis.legend(fontsize=5, ncols=2, loc="upper left", frameon=False)


def _lines(data: Data) -> Iterator[tuple[str, list[Any]]]:
    """Yield the legend and the values of each series."""
    for legend, all_series in data.items():
        for series in all_series:
            filled_in = legend
            for name, value in series["metric"].items():
                filled_in = filled_in.replace(f"{{{{{name}}}}}", value)
            yield filled_in, series["values"]


def _rows(panels: Iterable[tuple[Panel, Data]]) -> Iterator[list[tuple[Panel, Data]]]:
    for stat, group in itertools.groupby(panels, key=lambda panel: panel[0].stat):
        remaining = list(group)
        size = STATS_PER_ROW if stat else GRAPHS_PER_ROW
        for start in range(0, len(remaining), size):
            yield remaining[start : start + size]


def main() -> None:
    # A fixed salt and no date: the same data makes the same file.
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "task-tracker", "svg.fonttype": "none"})
    mpl.rcParams.update({"font.size": 7, "text.color": TEXT})
    data: list[Data] = json.loads((ROOT / "build/service.json").read_text())
    rows = list(_rows(zip(SERVICE.panels, data, strict=True)))
    heights = [0.35 if row[0][0].stat else 1.0 for row in rows]
    figure = plt.figure(figsize=(12, 2.1 * sum(heights) + 0.5), layout="constrained")
    figure.suptitle(f"{SERVICE.title}: {SERVICE.description}", fontsize=9)
    grid = figure.add_gridspec(len(rows), STATS_PER_ROW, height_ratios=heights)
    for number, row in enumerate(rows):
        width = 1 if row[0][0].stat else STATS_PER_ROW // GRAPHS_PER_ROW
        for column, (panel, series) in enumerate(row):
            axis = figure.add_subplot(grid[number, column * width : (column + 1) * width])
            axis.set_title(panel.title, fontsize=8, loc="left")
            (_draw_stat if panel.stat else _draw_graph)(axis, panel, series)
    figure.savefig(ROOT / "docs/images/dashboard-service.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
