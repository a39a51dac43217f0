"""One socket publishes as fast as it can, without wanting receipts. Bystanders, one request at a time: the receipt of a
message to the same channel, to another one, and an answer that needs no broker."""
from processes import Failed
from rows import Row

TITLE = "A flooder beside bystanders"
COLUMNS = {"foz": "Foz", "before": "before", "foz_rabbitmq": "Foz on RabbitMQ", "before_rabbitmq": "before, on RabbitMQ"}
COMPARE = [("foz", "before"), ("foz_rabbitmq", "before_rabbitmq")]
ROUNDS_MAX = 3
WHO = {"same": "receipt, same channel", "other": "receipt, another channel", "near": "answer without the broker"}


def figures():
    out = {}
    for who, title in WHO.items():
        for quantile in ("p50", "p99", "max"):
            out[f"{who}_{quantile}_ms"] = (f"{title}: {quantile}", "ms")
        out[f"rest_{who}_p99_ms"] = (f"{title}: p99 before the flood", "ms")
    return {**out, "seconds": ("until all is published", "s"), "unheard": ("bystanders' requests that failed", "requests"),
            "errors": ("errors that the flooder is told", "errors"), "closed": ("closed", "sockets"),
            "lost": ("accepted and not in the queue", "messages"), "doubled": ("more in the queue than sent", "messages")}


def run(context):
    messages = context.choose(200_000, 2_000)
    rows = {name: Row(name, title, unit, COMPARE if unit in ("ms", "s") else [])
            for name, (title, unit) in figures().items()}
    for turn in range(min(context.rounds, ROUNDS_MAX)):
        for series in context.storms():
            context.say(f"round {turn + 1}, {messages:,} publishes, {series}")
            try:
                with context.running_foz(series) as server:
                    found = context.once("flood", server, messages=messages, rest=context.choose(2, 0.2))
            except Failed as why:
                for row in rows.values():
                    row.fail(series, why)
                continue
            found["unheard"] = found["same_failed"] + found["other_failed"]
            found["lost"] = max(0, found["sent"] - found["errors"] - found["same_failed"] - found["in_queue"])
            found["doubled"] = max(0, found["in_queue"] - found["sent"])
            for name, row in rows.items():
                row.add(series, {"value": found[name], **(found if name == "seconds" else {})})
    return list(rows.values())
