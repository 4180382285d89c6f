"""The benchmark as a chart."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from tests.bench.bench import Row

mpl.use("svg")
# The same input makes the same file, so that the chart changes only with its figures.
mpl.rcParams["svg.hashsalt"] = "task-tracker"
OWN_COLOUR, OTHER_COLOUR = "#1f6feb", "#b6bfca"


def draw(rows: "list[Row]", path: Path) -> None:
    """Draw each system's CPU time by operation, as a multiple of bare FastAPI's."""
    operations = list(dict.fromkeys(row.operation for row in rows))
    figure, axes = plt.subplots(1, len(operations), figsize=(12, 2.6), sharey=True)
    for axis, operation in zip(axes, operations, strict=True):
        shown = [row for row in rows if row.operation == operation]
        bars = axis.barh(
            [row.system for row in shown],
            [row.ratio_to_bare for row in shown],
            color=[OWN_COLOUR if row.system == "this app" else OTHER_COLOUR for row in shown],
        )
        axis.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
        axis.set_title(operation, fontsize=10)
        axis.margins(x=0.2)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    axes[0].invert_yaxis()
    figure.suptitle("CPU time of the API process per request, as a multiple of bare FastAPI's")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
