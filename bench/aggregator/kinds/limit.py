"""How much the load itself can read: the bare loop writes, one frame at a time and many at once. What the load would read if
it were never idle is its limit; a server that comes near it is not what is measured."""
from kinds.fan_out import measure
from rows import Row
from stations import Station, Stations

TITLE = "The load's own limit, deliveries a second"
COLUMNS = {"bare": "read from the bare loop", "load": "the load's limit"}


def run(context):
    rows = []
    for subscribers in context.choose((1_000, 10_000), (20,)):
        with Stations() as stations:
            bare = stations["bare"] = Station(context, "bare", "fan_out", subscribers=subscribers)
            for frames in (1, 64):
                row = Row(f"{subscribers}_{frames}", f"N={subscribers:,}, {frames} to a write of 198 octets each",
                          "deliveries/s")
                for turn in range(context.rounds):
                    context.say(f"round {turn + 1} of {context.rounds}, {row.title}")
                    found = measure(row, "bare", bare, {
                        "window": 2 * frames, "frame_octets": 198, "frames_per_write": frames,
                        "seconds": context.options.seconds, "warm_up": context.choose(0.3, 0.05)})
                    if found:
                        busy = max(found["load_cpu"] - found["load_idle"], 1e-6)
                        row.add("load", {"value": found["deliveries"] / busy})
                rows.append(row)
    return rows
