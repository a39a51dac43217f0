"""A server with its load, both of which stay while others are measured; started again after a failure."""
from processes import Failed


class Station:
    def __init__(self, context, series, scenario, **keys):
        self.context, self.series, self.scenario, self.keys = context, series, scenario, keys
        self.server = self.load = None

    def open(self):
        self.server = self.context.server_of(self.series)
        try:
            self.server.start()
            self.load = self.context.load(self.scenario, self.server, **self.keys)
            self.load.answer()
        except Failed:
            self.close()
            raise

    def measure(self, **keys):
        if not self.load:
            self.open()
        try:
            return self.load.tell(**keys)
        except Failed:
            self.close()
            raise

    def close(self):
        if self.load:
            self.load.end()
        if self.server:
            self.server.clear()
        self.server = self.load = None


class Stations(dict):
    """Closes all that are in it at the end of the block."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for station in self.values():
            station.close()
