"""What is measured: the arguments of broker_load for each scenario."""
from dataclasses import dataclass, field

SMALL, LARGE = 100, 16 * 1024
MANY = 16

# As many messages on their way as keeps a server busy, and not more than a few megabytes.
WINDOW = {SMALL: 10_000, LARGE: 500}
CONFIRM_WINDOW = {SMALL: 2_000, LARGE: 250}
ACK_EVERY = {SMALL: 200, LARGE: 25}


@dataclass
class Scenario:
    name: str
    title: str
    size: int
    arguments: list
    kinds: dict = field(default_factory=dict)  # kinds of queue of one server: suffix -> more arguments
    streams: bool = False

    def load_arguments(self):
        return [*self.arguments, "--size", self.size, "--window", WINDOW[self.size],
                "--confirm-window", CONFIRM_WINDOW[self.size], "--ack-every", ACK_EVERY[self.size]]

    def kinds_of(self, server):
        return self.kinds if server.name == "rabbitmq" and self.kinds else {"": []}


PERSISTENT = ["--durable", "--persistent", "--confirms"]
FAN = ["--queues", MANY, "--consumers", MANY]


def all_scenarios():
    out = []
    for size, said in ((SMALL, "100 B"), (LARGE, "16 KB")):
        out += [
            Scenario(f"transient_{size}", f"transient, {said}", size, ["--no-ack"]),
            Scenario(f"persistent_{size}", f"persistent, confirms, {said}", size, PERSISTENT,
                     {"": [], "quorum": ["--queue-type", "quorum"]}),
            Scenario(f"one_to_many_{size}", f"one to {MANY}, {said}", size, ["--no-ack", "--fanout", *FAN]),
            Scenario(f"many_to_one_{size}", f"{MANY} to one, {said}", size, ["--no-ack", "--publishers", MANY]),
        ]
    out += [Scenario(f"stream_{readers}", f"stream, {readers} reader{'s' if readers > 1 else ''}, 100 B", SMALL,
                     [*PERSISTENT, "--queue-type", "stream", "--consumers", readers], streams=True)
            for readers in (1, 3, 8)]
    return out
