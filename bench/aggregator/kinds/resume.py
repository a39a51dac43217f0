"""A resume storm: many sockets come back to a place 10,000 entries ago, of which 20 are for them, to a server that has just
started. How long until all are live, and how long do bystanders wait meanwhile?"""
import signal

from processes import Failed
from rows import Row

TITLE = "Resume storm on a fresh server"
COLUMNS = {"foz": "Foz", "before": "before"}
COMPARE = [("foz", "before")]
ROUNDS_MAX = 3
FIGURES = {"seconds": ("until all are live", "s"), "receipt_max_ms": ("a bystander's longest wait for a receipt", "ms"),
           "near_max_ms": ("a bystander's longest wait without the broker", "ms"), "closed": ("closed", "sockets"),
           "short": ("not live in the end", "sockets"), "out_of_order": ("entries out of order", "entries"),
           "gaps": ("gaps told", "gaps")}


def run(context):
    clients, entries = context.choose((5_000, 10_000), (20, 100))
    rows = {name: Row(name, f"{clients:,} sockets, {entries:,} entries back: {title}", unit,
                      COMPARE if name in ("seconds", "receipt_max_ms", "near_max_ms") else [])
            for name, (title, unit) in FIGURES.items()}
    for turn in range(min(context.rounds, ROUNDS_MAX)):
        for series in context.programs:
            context.say(f"round {turn + 1}, {series}")
            try:
                found = one_storm(context, series, clients, entries)
            except Failed as why:
                for row in rows.values():
                    row.fail(series, why)
                continue
            found["short"] = clients - min(found["live"], found["told_live"])
            for name, row in rows.items():
                row.add(series, {"value": found[name], **(found if name == "seconds" else {})})
    return list(rows.values())


def one_storm(context, series, clients, entries):
    server = context.foz(series)
    with context.running(server):
        position = context.once("resume_prepare", server, entries=entries)["position"]
        server.stop(signal.SIGTERM)
        server.start()
        return context.once("resume_storm", server, clients=clients, position=position, at_once=1_000)
