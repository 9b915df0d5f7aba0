"""Turns measurements into text: a table for each group, a summary, and all errors.

`peers.py --json` writes a measurement: machine, versions, and a record for each workload. Measurements of several
Pythons can be shown together.
"""

import math
import statistics

from peers.tools import TOOLS

GROUPS = ("micro", "programs", "libraries", "suites")
WIDTH = 17


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def spread(ratios):
    """Return the ends of the middle half of *ratios*, or of all of them if they are few."""
    if len(ratios) < 4:
        return min(ratios), max(ratios)
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return low, high


def medians(measurement, group, tool):
    """Return {workload: median ratio} of those workloads of *group* that *tool* came to the end of."""
    return {record["name"]: statistics.median(record["ratios"][tool]) for record in measurement["workloads"]
            if record["group"] == group and record["ratios"].get(tool)}


def tools_of(measurement, group):
    """Return the tools that were tried in *group*, in the order of the table of tools."""
    tried = {tool for record in measurement["workloads"] if record["group"] == group
             for tool in (*record["ratios"], *record["errors"], *record.get("growth", ()))}
    return [tool for tool in TOOLS if tool in tried and (tool != "plain" or group == "growth")]


def number(ratio):
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def cell(record, tool):
    """Return a ratio and its spread, `failed`, or a dash if there was no run. A star refers to a note."""
    if tool in record["errors"] or "plain" in record["errors"]:
        return "failed"
    ratios = record["ratios"].get(tool)
    if not ratios:
        return "-"
    low, high = spread(ratios)
    star = "*" if tool in record["notes"] else ""
    if len(ratios) == 1:
        return number(ratios[0]) + star
    return f"{number(statistics.median(ratios))} {number(low)}-{number(high)}{star}"


def group_table(measurement, group):
    """Return the lines of the table of *group*: workload by tool."""
    records = [record for record in measurement["workloads"] if record["group"] == group]
    tools = tools_of(measurement, group)
    rounds = max((len(record["seconds"].get("plain", ())) for record in records), default=0)
    lines = [(f"{group}: CPU time as a multiple of the plain run, median of {rounds} rounds and its "
             f"{'range' if rounds < 4 else 'quartiles'}; slow tools run in each third round"), "",
             f"{'':<24}{'plain s':>8}" + "".join(f"{TOOLS[tool].title:>{WIDTH}}" for tool in tools)]
    for record in records:
        seconds = record["seconds"].get("plain", {}).values()
        lines.append(f"{record['name']:<24}{statistics.median(seconds) if seconds else math.nan:8.3f}"
                     + "".join(f"{cell(record, tool):>{WIDTH}}" for tool in tools))
    for title, function in (("geometric mean", geometric_mean), ("worst", max)):
        found = [medians(measurement, group, tool).values() for tool in tools]
        lines.append(f"{title:<32}" + "".join(f"{number(function(values)) if values else '-':>{WIDTH}}"
                                              for values in found))
    return lines


def summary_table(measurements, title, function):
    """Return the lines of a table, tool by group, with the Pythons of a group side by side.

    *function* computes each cell from the medians of the workloads.
    """
    tools = [tool for tool in TOOLS if any(tool in tools_of(measurement, group)
                                           for measurement in measurements for group in GROUPS)]
    columns = [(group, measurement) for group in GROUPS if any(tools_of(one, group) for one in measurements)
               for measurement in measurements]
    lines = [title, "", f"{'':<18}{'records':<10}" + "".join(f"{group:>11}" for group, _ in columns),
             f"{'':<28}" + "".join(f"{measurement['python']:>11}" for _, measurement in columns)]
    for tool in tools:
        found = [medians(measurement, group, tool).values() for group, measurement in columns]
        lines.append(f"{TOOLS[tool].title:<18}{TOOLS[tool].records:<10}"
                     + "".join(f"{number(function(ratios)) if ratios else '-':>11}" for ratios in found))
    return lines


def line_through(points):
    """Return (fixed, each) of the straight line through *points* (loops, seconds), nearest in relative terms.

    Least squares weighted by 1/seconds², so that a millisecond of a short run is worth more than one of a long run.
    """
    weights = [1 / seconds ** 2 for _, seconds in points]
    total = sum(weights)
    x = sum(weight * loops for weight, (loops, _) in zip(weights, points)) / total
    y = sum(weight * seconds for weight, (_, seconds) in zip(weights, points)) / total
    above = sum(weight * (loops - x) * (seconds - y) for weight, (loops, seconds) in zip(weights, points))
    below = sum(weight * (loops - x) ** 2 for weight, (loops, _) in zip(weights, points))
    each = above / below if below else 0.0
    return y - each * x, each


def growth_table(measurement):
    """Return the lines of the table with the costs of a run as its work grows."""
    lines = [("growth: CPU seconds of the whole process, start and results included = fixed + each turn; the turns "
             "relative to plain ones"), "", f"{'':<24}{'tool':<18}{'fixed s':>10}{'turns':>10}"]
    for record in measurement["workloads"]:
        if record["group"] != "growth":
            continue
        plain = record.get("growth", {}).get("plain")
        for tool in tools_of(measurement, "growth"):
            points = record.get("growth", {}).get(tool)
            if not points or not plain:
                lines.append(f"{record['name']:<24}{TOOLS[tool].title:<18}{'failed':>10}")
                continue
            fixed, each = line_through(points)
            lines.append(f"{record['name']:<24}{TOOLS[tool].title:<18}{fixed:10.3f}"
                         f"{each / line_through(plain)[1]:10.2f}")
    return lines


def remarks(measurement):
    """Return a line for everything that failed, was different or is missing."""
    lines = [f"left out: {what}: {why}" for what, why in sorted(measurement["missing"].items())]
    lines += [f"tests of {record['name']}: {record['verdicts']}" for record in measurement["workloads"]
              if record.get("verdicts")]
    unsteady = [f"{record['group']}/{record['name']}" for record in measurement["workloads"] if record.get("unsteady")]
    if unsteady:
        lines.append(f"some counts differ between two runs under trace, and were not compared: {', '.join(unsteady)}")
    for record in measurement["workloads"]:
        for kind in ("errors", "notes"):
            for tool, text in record[kind].items():
                title = TOOLS[tool].title if tool in TOOLS else tool
                mark = "failed" if kind == "errors" else "*"
                lines.append(f"{mark}: {record['group']}/{record['name']} under {title}: {text}")
    return lines


def text(measurements):
    """Return the whole report on *measurements*."""
    lines = []
    for measurement in measurements:
        lines += [*measurement["machine"],
                  ", ".join(f"{name} {version}" for name, version in measurement["versions"].items())]
        for group in GROUPS:
            if tools_of(measurement, group):
                lines += ["", *group_table(measurement, group)]
        if tools_of(measurement, "growth"):
            lines += ["", *growth_table(measurement)]
        if found := remarks(measurement):
            lines += ["", *found]
        lines.append("")
    return "\n".join([*lines, *summary_table(measurements, "Geometric means", geometric_mean), "",
                      *summary_table(measurements, "Worst workloads", max)])


def merge(measurements):
    """Return *measurements* with one for each Python, in the order of versions; their workloads are put together.

    A workload that two measurements of one Python have is taken from the later.
    """
    merged = {}
    for measurement in measurements:
        before = merged.get(measurement["python"])
        if before is None:
            merged[measurement["python"]] = measurement
            continue
        workloads = {(record["group"], record["name"]): record
                     for record in (*before["workloads"], *measurement["workloads"])}
        merged[measurement["python"]] = {**before, **measurement, "workloads": list(workloads.values()),
                                         "missing": {**before["missing"], **measurement["missing"]}}
    def version(measurement):
        return [int(part) if part.isdigit() else 0 for part in measurement["python"].split(".")]
    return sorted(merged.values(), key=version)
