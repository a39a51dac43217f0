"""One publisher, many subscribers: deliveries a second, beside Bun and beside a bare loop of send() that writes the same
octets for each frame and as many frames to a write."""
from processes import Failed
from rows import Row
from stations import Station, Stations

TITLE = "Fan-out, deliveries a second"
COLUMNS = {"volatile": "Foz, volatile", "durable": "Foz, durable", "bun": "Bun", "bare_volatile": "bare loop, as volatile",
           "bare_durable": "bare loop, as durable", "volatile_before": "before, volatile",
           "durable_before": "before, durable"}
CHANNELS = {"volatile": "voice", "durable": "chat"}
COMPARE = [("volatile", "bun"), ("durable", "bun"), ("volatile", "bare_volatile"), ("durable", "bare_durable"),
           ("volatile", "volatile_before"), ("durable", "durable_before")]
MORE = {"per_cpu_second": "The same for each second of the server's processor time, which depends less on what else runs here:"}

SMALL = 128
WINDOWS = {1_000: [(1, SMALL), (4, SMALL), (16, SMALL), (64, SMALL), (256, SMALL), (4, 1_024), (4, 16_384)],
           10_000: [(1, SMALL), (4, SMALL), (16, SMALL), (64, SMALL), (256, SMALL)]}


def run(context):
    rows = []
    windows = context.choose(WINDOWS, {20: [(1, SMALL), (4, 1_024)]})
    for subscribers, pairs in windows.items():
        rows += with_subscribers(context, subscribers, pairs)
    return rows


def with_subscribers(context, subscribers, pairs):
    rows = {(window, size): Row(f"{subscribers}_{window}_{size}", f"N={subscribers:,} W={window} {size:,} B",
                                "deliveries/s", COMPARE) for window, size in pairs}
    keys = {"subscribers": subscribers}
    with Stations() as stations:
        for name, channel in CHANNELS.items():
            stations[name] = Station(context, "foz", "fan_out", channel=channel, **keys)
            if "before" in context.programs:
                stations[f"{name}_before"] = Station(context, "before", "fan_out", channel=channel, **keys)
        if context.has_bun:
            stations["bun"] = Station(context, "bun", "fan_out", **keys)
        bare = stations["bare"] = Station(context, "bare", "fan_out", **keys)
        for turn in range(context.rounds):
            for (window, size), row in rows.items():
                context.say(f"round {turn + 1} of {context.rounds}, {row.title}")
                told = {"window": window, "size": size, "seconds": context.options.seconds,
                        "warm_up": context.choose(0.3, 0.05), "at_least": subscribers}
                one_round(row, stations, bare, told, turn)
    return list(rows.values())


def one_round(row, stations, bare, told, turn):
    """The servers take turns, from the other end in every second round; the bare loop does at once what Foz did."""
    names = [name for name in stations if name != "bare"]
    for name in names if turn % 2 == 0 else reversed(names):
        found = measure(row, name, stations[name], told)
        if name in CHANNELS and found:
            same = {"frame_octets": round(found["frame_octets"]),
                    "frames_per_write": round(min(max(found["frames_per_write"], 1), told["window"]), 2)}
            measure(row, f"bare_{name}", bare, {**told, **same})


def measure(row, series, station, told):
    try:
        found = station.measure(**told)
    except Failed as why:
        row.fail(series, why)
        return None
    row.add(series, {"value": found["deliveries"] / found["seconds"],
                     "per_cpu_second": found["deliveries"] / max(found["server_cpu"], 1e-6), **found})
    return found
