"""The results as tables in Markdown."""
import figures
import kinds
from rows import LOAD_IS_LIMIT, NOT_SATURATED, marks, values

NA = "–"


def short(number):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= limit:
            scaled = number / (1e3 if unit == "k" else limit)
            return (f"{scaled:.3g}" if scaled < 1000 else f"{scaled:.0f}") + unit
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:.0f}"


def cell(row, series, of):
    """median (min–max)"""
    runs = row["runs"].get(series)
    if not runs:
        return NA
    found = figures.spread(values(row, series, of))
    failed = sum("failed" in run for run in runs)
    if not found:
        return "failed"
    said = short(found["median"])
    if found["min"] != found["max"]:
        said += f" ({short(found['min'])}–{short(found['max'])})"
    return said + marks(row, series) + (f", {failed} of {len(runs)} failed" if failed else "")


def times(number):
    return f"{number:.2f}" if number >= 0.1 else f"{number:.2g}"


def ratio_cell(row, pair, of):
    """median (min–max) [95 % interval]"""
    found = figures.ratio(values(row, pair[0], of), values(row, pair[1], of))
    if not found:
        return NA
    said = times(found["median"])
    if found["rounds"] > 1:
        said += f" ({times(found['min'])}–{times(found['max'])})"
    return said + (f" [{times(found['low'])}, {times(found['high'])}]" if "low" in found else "")


def line(cells):
    return "| " + " | ".join(cells) + " |"


def pairs_of(rows, columns):
    """What is compared anywhere in these rows and has runs."""
    there = {series for row in rows for series in row["runs"]}
    out = []
    for row in rows:
        out += [tuple(pair) for pair in row["compare"] if tuple(pair) not in out and there.issuperset(pair)]
    return [pair for pair in out if pair[0] in columns and pair[1] in columns]


def table(rows, titles, of="value"):
    columns = [series for series in titles if any(series in row["runs"] for row in rows)]
    pairs = pairs_of(rows, columns)
    lines = [line(["figure", "unit", *(titles[one] for one in columns), *(f"{titles[a]} : {titles[b]}" for a, b in pairs)]),
             "|" + "---|" * (2 + len(columns) + len(pairs))]
    for row in rows:
        wanted = [tuple(pair) for pair in row["compare"]]
        ratios = [ratio_cell(row, pair, of) if pair in wanted else NA for pair in pairs]
        lines.append(line([row["title"], row["unit"], *(cell(row, one, of) for one in columns), *ratios]))
    return lines


def share_of_core(rows):
    """What the servers had of their core while it was not idle: less than all of it when others were at work there."""
    shares = [run["server_cpu"] / max(run["seconds"] - run["core_idle"], 0.01)
              for row in rows for runs in row["runs"].values() for run in runs if "core_idle" in run]
    return figures.spread(shares)


def said_of(kind):
    said = [f"Measured {kind['when']} on {kind['machine']['cores']} cores ({kind['machine']['processor']}, Linux "
            f"{kind['machine']['kernel']})", *(f"{name} {version}" for name, version in kind["versions"].items())]
    share = share_of_core(kind["rows"])
    text = ", ".join(said) + "."
    if share:
        text += f" The servers had {min(share['median'], 1):.0%} of their core (median), other processes the rest."
    return text + (f" **{kind['note']}**" if kind.get("note") else "")


def markdown(result):
    lines = ["# The aggregator's figures", "",
             "Made by `bench/aggregator/run`; [bench/aggregator](../../aggregator/README.md) says what each figure means. "
             "Median (minimum–maximum) of the rounds; ratios are paired by round, with the 95 % interval of their geometric "
             f"mean in brackets. °: the server's core was idle for more than {NOT_SATURATED:.0%} of the time, so the server "
             f"was not saturated. †: the load had something to read in more than {1 - LOAD_IS_LIMIT:.0%} of its processor "
             "time and may have been the limit.", "", "![Fan-out, ratios and interests](figures.svg)"]
    for name, kind in result["kinds"].items():
        module = kinds.module(name)
        lines += ["", f"## {module.TITLE}", "", said_of(kind), "", *table(kind["rows"], module.COLUMNS)]
        for of, title in getattr(module, "MORE", {}).items():
            lines += ["", title, "", *table(kind["rows"], module.COLUMNS, of)]
    return "\n".join([*lines, ""])
