"""300 clients that read, and messages published without waiting: nobody who reads may be closed as slow."""
from processes import Failed
from rows import Row

TITLE = "Burst: clients that read"
COLUMNS = {"foz": "Foz", "before": "before", "foz_rabbitmq": "Foz on RabbitMQ", "before_rabbitmq": "before, on RabbitMQ"}
ROUNDS_MAX = 3
BURSTS = ((100, 50_000), (3_000, 1_500))
CHANNELS = {"chat": "durable", "voice": "volatile"}
FIGURES = {"closed": ("closed", "clients"), "missing": ("not delivered", "messages"),
           "out_of_order": ("out of order or repeated", "messages"), "seconds": ("until the last delivery", "s")}


def run(context):
    rows = []
    clients = context.choose(300, 20)
    for messages, size in context.choose(BURSTS, ((10, 50_000),)):
        for channel, kind in CHANNELS.items():
            title = f"{clients} clients, {messages:,} × {size / 1000:g} KB, {kind}"
            context.say(title)
            found = one_burst(context, clients, messages, size, channel)
            for name, (said, unit) in FIGURES.items():
                row = Row(f"{channel}_{messages}_{name}", f"{title}: {said}", unit)
                for series, run_of in found:
                    row.add(series, {"value": run_of[name], **(run_of if name == "closed" else {})}
                            if "failed" not in run_of else run_of)
                rows.append(row)
    return rows


def one_burst(context, clients, messages, size, channel):
    """Pairs of series and result, a fresh server for each."""
    out = []
    for _ in range(min(context.rounds, ROUNDS_MAX)):
        for series in context.storms():
            try:
                with context.running_foz(series) as server:
                    found = context.once("burst", server, clients=clients, messages=messages, size=size, channel=channel)
                out.append((series, {**found, "missing": found["expected"] - found["delivered"]}))
            except Failed as why:
                out.append((series, {"failed": str(why)}))
    return out
