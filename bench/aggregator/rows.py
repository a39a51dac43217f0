"""One line of the results: a figure, measured in several series (servers, mostly) in the same rounds."""
from dataclasses import asdict, dataclass, field

NOT_SATURATED = 0.1   # of the time in which the server's core had nothing to do
LOAD_IS_LIMIT = 0.05  # of the load's processor time: in all the rest it had something to read


@dataclass
class Row:
    name: str
    title: str
    unit: str
    compare: list = field(default_factory=list)  # pairs of series whose ratio is of interest: ours, theirs
    runs: dict = field(default_factory=dict)     # series -> one for each round: value or failed, and what else is known

    def add(self, series, run):
        self.runs.setdefault(series, []).append(run)

    def fail(self, series, why):
        self.add(series, {"failed": str(why)})

    def json(self):
        return asdict(self)


def values(row, series, of="value"):
    """Of a row as in the results; None for a round that failed."""
    return [run.get(of) for run in row["runs"].get(series, [])]


def marks(row, series):
    """What to think of it: ° the server's core was idle at times; † the load was busy all the time."""
    runs = [run for run in row["runs"].get(series, []) if "core_idle" in run]
    idle = sorted(run["core_idle"] / run["seconds"] for run in runs)
    load_idle = sorted(run["load_idle"] / max(run["load_cpu"], 1e-6) for run in runs if "load_idle" in run)
    unsaturated = bool(idle) and idle[len(idle) // 2] > NOT_SATURATED
    limited = bool(load_idle) and load_idle[len(load_idle) // 2] < LOAD_IS_LIMIT
    return ("°" if unsaturated else "") + ("†" if limited else "")
