"""Broadcasts a second to one of many distinct topics, patterns or groups, each heard by one of 200 sockets. Flat growth is a
ratio of one between the columns."""
from processes import Failed
from rows import Row
from stations import Station, Stations

TITLE = "Broadcasts a second to one of many topics, patterns, groups"
COUNTS = (10, 1_000, 100_000)
COLUMNS = {str(count): f"{count:,}" for count in COUNTS}
COMPARE = [("1000", "10"), ("100000", "10")]
KINDS = {"topics": "topics", "patterns": "patterns with * and #", "groups": "groups"}
SERIES = {"foz": "Foz", "before": "before", "bun": "Bun"}
WINDOW = 10
AT_LEAST = 200  # broadcasts in a measurement


def run(context):
    rows = []
    for kind, title in KINDS.items():
        for series in [*context.programs, *(["bun"] if context.has_bun and kind == "topics" else [])]:
            row = Row(f"{kind}_{series}", f"{title}, {SERIES[series]}", "broadcasts/s", COMPARE)
            one_server(context, row, series, kind)
            rows.append(row)
    return rows


def one_server(context, row, series, kind):
    with Stations() as stations:
        for count in context.choose(COUNTS, (10, 1_000)):
            more = {} if series == "bun" else {"channel": "voice"}
            stations[str(count)] = Station(context, series, "interests", of=kind, count=count, **more)
        for turn in range(context.rounds):
            for count, station in stations.items():
                context.say(f"round {turn + 1} of {context.rounds}, {count} {row.title}")
                try:
                    found = station.measure(window=WINDOW, seconds=context.options.seconds,
                                            warm_up=context.choose(0.2, 0.05), at_least=context.choose(AT_LEAST, 0))
                    row.add(count, {"value": found["deliveries"] / found["seconds"], **found})
                except Failed as why:
                    row.fail(count, why)
