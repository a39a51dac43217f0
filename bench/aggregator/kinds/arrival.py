"""Clients that come, are upgraded, consume, and close in good order: the server's processor time for each."""
import contextlib

from processes import Failed
from rows import Row

TITLE = "Arrival: processor time for a handshake and close"
COLUMNS = {"foz": "Foz", "before": "before", "bun": "Bun"}
COMPARE = [("foz", "bun"), ("foz", "before")]
CHANNELS = {"plain": ("", "plain"), "one": ("chat", "one channel"), "three": ("chat,voice,tickets", "three channels")}


def run(context):
    rows = {name: Row(name, title, "µs", COMPARE) for name, (_, title) in CHANNELS.items()}
    with contextlib.ExitStack() as stack:
        names = [*context.programs, *(["bun"] if context.has_bun else [])]
        servers = {series: stack.enter_context(context.running(context.server_of(series))) for series in names}
        for turn in range(context.rounds):
            for name, (channels, title) in CHANNELS.items():
                context.say(f"round {turn + 1} of {context.rounds}, {title}")
                for series, server in servers.items():
                    if series == "bun" and name == "three":
                        continue
                    measure(context, rows[name], series, server, channels)
    return list(rows.values())


def measure(context, row, series, server, channels):
    try:
        found = context.once("arrival", server, clients=context.choose(5_000, 100), channels=channels, at_once=64)
        row.add(series, {"value": 1e6 * found["server_cpu"] / found["clients"], **found})
    except Failed as why:
        row.fail(series, why)
