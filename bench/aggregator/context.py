"""What every kind of measurement works with."""
import contextlib
import os
import shutil
import sys

from processes import BUN, Bare, Bun, Failed, Foz, Load, RabbitMQ

__all__ = ["Context", "Failed"]
ON_RABBITMQ = "_rabbitmq"


class Context:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.short = options.short
        self.rounds = options.rounds
        self.has_bun = os.access(BUN, os.X_OK)
        self.programs = {"foz": os.path.abspath(options.foz)}  # series -> binary
        if options.before:
            self.programs["before"] = os.path.abspath(options.before)
        self.kind = ""
        self.made = 0
        self.tools = os.path.join(options.build, "bench/aggregator")

    # Progress: one line that is rewritten on a terminal, else a line for each step.
    def say(self, text):
        if self.options.quiet:
            return
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            print("\r\033[K" + f"{self.kind}: {text}"[:width], end="", file=sys.stderr, flush=True)
        else:
            print(f"{self.kind}: {text}", file=sys.stderr, flush=True)

    def note(self, text):
        """Something that stays on the screen."""
        if not self.options.quiet:
            print(("\r\033[K" if sys.stderr.isatty() else "") + text, file=sys.stderr, flush=True)

    def choose(self, usual, short):
        return short if self.short else usual

    def new_folder(self):
        self.made += 1
        return os.path.join(self.folder, str(self.made))

    # Servers and loads that end with the block.
    @contextlib.contextmanager
    def running(self, server):
        try:
            yield server.start()
        finally:
            server.clear()

    def foz(self, series="foz", **more):
        return Foz(self.new_folder(), self.options.server_core, self.programs[series], **more)

    def storms(self):
        """Series of the storms: each binary on its embedded broker and, where that is wanted, on RabbitMQ."""
        return [*self.programs, *(f"{series}{ON_RABBITMQ}" for series in self.programs if self.options.rabbitmq)]

    @contextlib.contextmanager
    def running_foz(self, series):
        """One of storms(), fresh, and its broker too."""
        with contextlib.ExitStack() as stack:
            broker = None
            if series.endswith(ON_RABBITMQ):
                broker = stack.enter_context(self.running(RabbitMQ(self.new_folder(), self.options.server_core)))
            yield stack.enter_context(self.running(self.foz(series.removesuffix(ON_RABBITMQ), broker=broker)))

    def bun(self):
        return Bun(self.new_folder(), self.options.server_core)

    def bare(self):
        return Bare(self.new_folder(), self.options.server_core, os.path.join(self.tools, "aggregator_bare"))

    def server_of(self, series):
        return self.bun() if series == "bun" else self.bare() if series == "bare" else self.foz(series)

    def load(self, scenario, server, **keys):
        return Load(os.path.join(self.tools, "aggregator_load"), self.options.load_core, scenario, server, **keys)

    def once(self, scenario, server, **keys):
        """A load that says one thing and ends."""
        with self.load(scenario, server, **keys) as load:
            return load.answer()
