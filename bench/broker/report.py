"""The results as tables in Markdown, and their place in docs/broker.md."""
from statistics import median

BEGIN, END = "<!-- bench/broker/run: begin -->", "<!-- bench/broker/run: end -->"
HEADING = "## Beside RabbitMQ and garagemq"
NOT_SATURATED = 0.1  # of the time in which the server's core had nothing to do
NA = "n/a"


def values(runs, of):
    """Of those in which anything moved."""
    return [of(run) for run in runs or [] if "failed" not in run and (run["delivered"] or run["published"])]


def rate(run):
    return max(run["delivered"], run["published"]) / run["seconds"]


def rate_per_cpu_second(run):
    return max(run["delivered"], run["published"]) / max(run["server_cpu"], 0.01)


def idle(run):
    return run["core_idle"] / run["seconds"]


def short(number):
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g}{unit}" if number / limit < 100 else f"{number / limit:.0f}{unit}"
    return f"{number:.3g}"


def spread(numbers, form=short):
    """median (min–max)"""
    if not numbers:
        return NA
    if len(numbers) == 1:
        return form(numbers[0])
    return f"{form(median(numbers))} ({form(min(numbers))}–{form(max(numbers))})"


def cell(runs):
    numbers = values(runs, rate)
    if runs and not numbers:
        return "failed"
    mark = "°" if numbers and median(values(runs, idle)) > NOT_SATURATED else ""
    still = len(runs or []) - len(numbers)
    return spread(numbers) + mark + (f", {still} of {len(runs)} stood still" if still else "")


def times(ours, theirs, of):
    a, b = values(ours, of), values(theirs, of)
    return f"{median(a) / median(b):.1f}" if a and b else NA


def throughput(result):
    lines = ["| deliveries a second | Foz | RabbitMQ | garagemq | limit | Foz : RabbitMQ | … per processor second |",
             "|---|---|---|---|---|---|---|"]
    for one in result["scenarios"].values():
        runs = one["runs"]
        ours = runs.get("foz")
        for key in [key for key in runs if key.startswith("rabbitmq")] or ["rabbitmq"]:
            kind = key.removeprefix("rabbitmq").lstrip("_")
            title = one["title"] + (f", RabbitMQ's {kind} queue" if kind else "")
            theirs = runs.get(key)
            others = [cell(runs.get("garagemq")), cell(runs.get("null"))] if not kind else ["", ""]
            lines.append("| " + " | ".join([title, cell(ours) if not kind else "", cell(theirs), *others,
                                            times(ours, theirs, rate), times(ours, theirs, rate_per_cpu_second)]) + " |")
    return lines


def megabytes(kb):
    return f"{kb / 1024:.0f}"


def memory(runs, which):
    """Resident, and in brackets what is not a view of a file."""
    if not runs or any("failed" in run for run in runs):
        return NA
    suffix = "_max_kb" if "anonymous_max_kb" in runs[0] and which == "max" else "_kb"
    return f"{megabytes(median(run['rss' + suffix] for run in runs))} ({megabytes(median(run['anonymous' + suffix] for run in runs))})"


def life(result):
    names = [name for name in ("foz", "rabbitmq", "garagemq") if name in result["life"] or name in result["backlog"]]
    titles = {"foz": "Foz", "rabbitmq": "RabbitMQ", "garagemq": "garagemq"}
    lives, backlog = result["life"], result["backlog"]
    lines = ["| | " + " | ".join(titles[name] for name in names) + " |", "|---|" + "---|" * len(names)]

    def row(title, of):
        lines.append(f"| {title} | " + " | ".join(of(name) for name in names) + " |")

    row("start to first confirmed publish, ms",
        lambda name: spread([one["first_confirm_ms"] for one in lives.get(name, [])], lambda x: f"{x:.0f}"))
    row("memory at rest, MB", lambda name: memory([one["idle"] for one in lives.get(name, [])], "end"))
    row("16 to one, 100 B: memory at most, MB", lambda name: memory([one["many_to_one"] for one in lives.get(name, [])], "max"))
    row("one to 16, 16 KB: memory at most, MB", lambda name: memory([one["one_to_many"] for one in lives.get(name, [])], "max"))
    count = result["backlog_messages"]
    row(f"backlog of {count:,}, persistent, 100 B: filled, messages a second",
        lambda name: spread(values([one["fill"] for one in backlog.get(name, [])], rate)))
    row("the same when it is full: memory, MB", lambda name: memory([one["fill"] for one in backlog.get(name, [])], "end"))
    row("the same: drained, messages a second", lambda name: spread(values([one["drain"] for one in backlog.get(name, [])], rate)))
    return lines


def share_of_core(result):
    """What the servers had of their core while it was not idle: less than all of it when others were at work there."""
    shares = [run["server_cpu"] / max(run["seconds"] - run["core_idle"], 0.01) for one in result["scenarios"].values()
              for runs in one["runs"].values() for run in runs if "failed" not in run]
    return median(shares) if shares else 0


def markdown(result):
    rounds = result["rounds"]
    backlog_rounds = max((len(one) for one in result["backlog"].values()), default=0)
    versions = result["versions"]
    said = (f"Measured {result['when']} on {result['machine']['cores']} cores ({result['machine']['processor']}, Linux "
            f"{result['machine']['kernel']}): RabbitMQ {versions.get('rabbitmq', NA)}, garagemq {versions.get('garagemq', NA)}. "
            f"{rounds} rounds, the servers in turn, {result['seconds']} s each: median (minimum–maximum). "
            f"The backlog was run {'once' if backlog_rounds == 1 else f'{backlog_rounds} times'}. "
            f"The servers had {share_of_core(result):.0%} of their core (median), other processes the rest. "
            f"°: the server's core was idle for more than {NOT_SATURATED:.0%} of the time, so the server was not saturated.")
    return "\n".join([said, "", *throughput(result), "", "Memory is resident memory, in brackets the part that is no view of a file.",
                      "", *life(result)])


def put_into(path, table):
    """Replaces what stands between the marks; makes the file and the section when they are missing."""
    try:
        with open(path) as old:
            text = old.read()
    except FileNotFoundError:
        text = "# The embedded broker\n"
    block = f"{BEGIN}\n{table}\n{END}"
    if BEGIN in text:
        before, rest = text.split(BEGIN, 1)
        text = before + block + rest.split(END, 1)[1]
    else:
        text = text.rstrip("\n") + f"\n\n{HEADING}\n\n{block}\n"
    with open(path, "w") as new:
        new.write(text)
