"""What might hold a loop up, and a client on the same loop that asks for its session's id, 2 ms after the last answer."""
from processes import Failed
from rows import Row

TITLE = "A bystander's wait"
COLUMNS = {"foz": "Foz", "before": "before"}
COMPARE = [("foz", "before")]
ROUNDS_MAX = 3
QUANTILES = ("p50", "p99", "max")


def noises(choose):
    """name -> title, keys of the load, what is particular about the server."""
    clients = choose(10_000, 100)
    groups = choose(1_000, 50)
    consumes = choose(1_800, 100)
    entries = {"what": "positions", "messages": choose(20_000, 10_500), "size": 128}
    return {
        "consumes": (f"{consumes:,} frames `consume from` in one write",
                     {"clients": consumes, "messages": choose(3_000, 50), "size": 200}, {}),
        "groups": (f"20 messages of 100 KB to {groups:,} groups",
                   {"clients": groups, "messages": choose(20, 2), "size": 100_000}, {}),
        # A few messages, after which everybody is due: the round without the work of very many messages.
        "positions": (f"{clients:,} clients are told their position at once",
                      {"clients": clients, "messages": 200, "size": 128}, {"position_entries": 100}),
        # Very many messages, with a round and without one.
        "entries": (f"{entries['messages']:,} messages at once, in which {clients:,} clients are told their position",
                    {**entries, "clients": clients}, {}),
        "entries_alone": (f"{entries['messages']:,} messages at once, with 10 clients", {**entries, "clients": 10}, {}),
        "ends": (f"{clients:,} sockets end at once", {"clients": clients}, {}),
    }


def run(context):
    rows = []
    for what, (title, keys, wishes) in noises(context.choose).items():
        mine = {name: Row(f"{what}_{name}_ms", f"{title}: {name}", "ms", COMPARE) for name in QUANTILES}
        mine["rest"] = Row(f"{what}_rest_ms", f"{title}: max in the second before", "ms")
        for turn in range(min(context.rounds, ROUNDS_MAX)):
            for series in context.programs:
                context.say(f"round {turn + 1}, {title}, {series}")
                try:
                    with context.running(context.foz(series, **wishes)) as server:
                        found = context.once("noise", server, **{"what": what, "rest": context.choose(1, 0.1), **keys})
                except Failed as why:
                    for row in mine.values():
                        row.fail(series, why)
                    continue
                for name in QUANTILES:
                    mine[name].add(series, {"value": found[f"near_{name}_ms"], **(found if name == "max" else {})})
                mine["rest"].add(series, {"value": found["rest_max_ms"]})
        rows += mine.values()
    return rows
