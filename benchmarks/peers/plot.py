"""Measurements → a picture, drawn by matplotlib: overhead by workload and tool, and cost as the work grows.

    python plot.py PICTURE MEASUREMENTS.json

A script of its own, for matplotlib is installed in the benchmark's environment, and not where the command is run.
"""

import json
import statistics
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peers import report
from peers.tools import TOOLS

# Ours are the filled ones; colours that the colour-blind can tell apart (Okabe and Ito).
STYLE = {
    "minimal": ("#D55E00", "o"), "line": ("#E69F00", "o"), "cold": ("#F0B8A0", "o"),
    "trace": ("#000000", "x"), "line_profiler": ("#7F7F7F", "+"), "monitoring": ("#CC79A7", "1"),
    "ctrace": ("#0072B2", "^"), "sysmon": ("#56B4E9", "v"), "slipcover": ("#009E73", "<"),
    "slipcover_branch": ("#00C090", ">"), "plain": ("#000000", "."),
}
TICKS = (1, 1.5, 2, 3, 5, 10, 20, 50)


def show_workloads(axes, measurement, rows):
    """Draw a mark for each tool in the row of each workload; *rows*: (group, name), or (group, None) for the mean."""
    for tool, (colour, marker) in STYLE.items():
        places = []
        for y, (group, name) in enumerate(rows):
            ratios = report.medians(measurement, group, tool)
            if name is None and ratios:
                places.append((report.geometric_mean(ratios.values()), y, 60))
            elif name in ratios:
                places.append((ratios[name], y, 22))
        if places:
            x, y, size = zip(*places)
            ours = tool in ("minimal", "line")
            axes.scatter(x, y, s=size, c=colour, marker=marker, label=TOOLS[tool].title, zorder=3 if ours else 2,
                         linewidths=1 if marker in "x+1" else 0)
    for y, (_, name) in enumerate(rows):
        if name is None:
            axes.axhspan(y - 0.5, y + 0.5, color="#EEEEEE", zorder=0)
    axes.axvline(1, color="#999999", linewidth=0.8, zorder=1)
    axes.set_xscale("log")
    axes.set_xticks(TICKS)
    axes.set_xticks((), minor=True)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)))
    axes.set_yticklabels([f"{group}: geometric mean" if name is None else name for group, name in rows], fontsize=7)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.5)
    axes.set_title(f"Python {measurement['python']}: CPU time, plain = 1", fontsize=9)


def show_growth(axes, measurement, record):
    """Draw total seconds against loops: the height on the left is paid once, the slope with each loop."""
    for tool, (colour, marker) in STYLE.items():
        found = {}
        for loops, seconds in record.get("growth", {}).get(tool, ()):
            found.setdefault(loops, []).append(seconds)
        if found:
            loops = sorted(found)
            axes.plot(loops, [statistics.median(found[many]) for many in loops], color=colour, marker=marker,
                      markersize=4, linewidth=1.6 if tool == "minimal" else 0.9, label=TOOLS[tool].title)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    # Slow tools leave the picture at the top: what is to be seen are the others.
    others = [seconds for tool, points in record.get("growth", {}).items() if not TOOLS[tool].slow
              for _, seconds in points]
    if others:
        axes.set_ylim(top=1.05 * max(others))
    axes.set_title(f"{record['name']}, Python {measurement['python']}: work grows", fontsize=8)
    axes.set_xlabel("loops", fontsize=7)
    axes.set_ylabel("CPU s of the whole process", fontsize=7)
    axes.tick_params(labelsize=7)
    axes.grid(color="#DDDDDD", linewidth=0.5)


def draw(measurements, picture):
    """Write the *picture* of *measurements*, one column for each Python."""
    # Text as text, and the same file for the same measurements.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "peers"})
    rows = []
    for group in report.GROUPS:
        names = dict.fromkeys(record["name"] for measurement in measurements for record in measurement["workloads"]
                              if record["group"] == group)
        if names:
            rows += [(group, None), *((group, name) for name in names)]
    grown = list(dict.fromkeys(record["name"] for measurement in measurements
                               for record in measurement["workloads"] if record.get("growth")))
    high = 0.16 * len(rows) + 0.9
    figure, grid = plt.subplots(1 + len(grown), len(measurements), squeeze=False, layout="constrained",
                                figsize=(max(7, 4.6 * len(measurements) + 1.5), high + 2.6 * len(grown)),
                                height_ratios=[high, *[2.6] * len(grown)])
    for column, measurement in enumerate(measurements):
        show_workloads(grid[0][column], measurement, rows)
        for row, name in enumerate(grown, 1):
            record = next((record for record in measurement["workloads"]
                           if record["name"] == name and record.get("growth")), {})
            if record:
                show_growth(grid[row][column], measurement, record)
            else:
                grid[row][column].set_visible(False)
    handles = {label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=6, fontsize=7, frameon=False)
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")), sys.argv[1])
