"""The processes of a run: the servers on one core, the load on another one. Each server has a folder and ports of its own."""
import ctypes
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUN = os.path.join(HERE, "node_modules/@oven/bun-linux-x64/bin/bun")
START_TIMEOUT = 30
STOP_TIMEOUT = 30
ANSWER_TIMEOUT = 300
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


class Failed(Exception):
    """A server or the load could not do it; the text says why."""


def pinned(core):
    """For Popen: on this core, with all descriptors it can have, and dead when we are."""
    def prepare():
        os.sched_setaffinity(0, {core})
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return prepare


class Server:
    """start(), stop(), and again; the folder stays until clear()."""
    kind = ""        # for the load: how it is talked to
    amqp_port = 0

    def __init__(self, folder, core):
        self.folder = folder
        self.core = core
        self.port = 0
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        self.console = os.path.join(self.folder, "console")
        with open(self.console, "w") as out:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=self.folder, preexec_fn=pinned(self.core))
        end = time.monotonic() + self.start_timeout()
        while not self.is_ready(self.said()):
            if self.process.poll() is not None or time.monotonic() > end:
                said = self.said().strip().splitlines()
                self.stop()
                raise Failed(f"{self.kind} did not start: {said[-1] if said else 'it says nothing'}")
            time.sleep(0.01)
        return self

    def start_timeout(self):
        return START_TIMEOUT

    def said(self):
        with open(self.console, errors="replace") as text:
            return text.read()

    def is_ready(self, said):
        """Its port is the first line."""
        found = re.match(r"(\d+)\n", said)
        self.port = int(found[1]) if found else 0
        return bool(found)

    def stop(self, how=signal.SIGKILL):
        if self.process:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failed(f"{self.kind} did not stop within {STOP_TIMEOUT} s") from None
            finally:
                self.process = None

    def clear(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def anonymous_kb(self):
        """Resident memory that is no view of a file."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"^RssAnon:\s+(\d+)", status.read(), re.M)[1])


class Foz(Server):
    """`foz serve` with its embedded broker, one event loop; the channels that exist without configuration, but for the
    presence of voice: no service is there, and what it is told would wait in the broker, whose memory is in this process."""
    kind = "foz"

    def __init__(self, folder, core, program, certificate=None, broker=None, wrapper=(), position_entries=None):
        super().__init__(folder, core)
        self.program = program
        self.certificate = certificate  # PEM file with certificate and key
        self.broker = broker            # a RabbitMQ instead of the embedded broker
        self.wrapper = list(wrapper)
        self.position_entries = position_entries  # messages after which a session is told its position; the usual number

    def command(self):
        with open(os.path.join(self.folder, "foz.toml"), "w") as out:
            out.write("threads = 1\n[client]\nping_interval_ms = 600000\n"  # no pings inside a measurement
                      + (f"position_entries = {self.position_entries}\n" if self.position_entries else "") +
                      "[channels.chat]\n[channels.tickets]\n"
                      "[channels.voice]\ndelivery = \"volatile\"\nconsumers = \"single_active\"\n")
        tls = ["--tls-certificate", self.certificate, "--tls-key", self.certificate] if self.certificate else []
        where = (["--broker", f"amqp://127.0.0.1:{self.broker.amqp_port}"] if self.broker else
                 ["--data", "data", "--amqp-listen", "127.0.0.1:0"])
        # A few clients stand for thousands: none of them is limited. (Earlier programs don't know these variables.)
        unlimited = ["env", *(f"FOZ_LIMITS_CLIENT_{what}=0" for what in ("FRAMES", "OCTETS", "PUBLISHES", "CONNECTIONS"))]
        return [*unlimited, *self.wrapper, self.program, "serve", "--config", "foz.toml", "--listen", "127.0.0.1:0", *where, *tls]

    def is_ready(self, said):
        ready = re.search(r"ready: https?://127\.0\.0\.1:(\d+)/", said)
        inside = re.search(r"broker: amqp://127\.0\.0\.1:(\d+)", said)
        if not ready or not (inside or self.broker):
            return False
        self.port = int(ready[1])
        self.amqp_port = self.broker.amqp_port if self.broker else int(inside[1])
        return True

    def start_timeout(self):
        return START_TIMEOUT * (10 if self.wrapper else 1)


class RabbitMQ(Server):
    """A node on the server's core, which it shares with Foz."""
    kind = "rabbitmq"
    script = os.path.join(os.path.dirname(os.path.dirname(HERE)), "scripts/rabbitmq")

    def start(self):
        done = subprocess.run([self.script, "start", self.folder], capture_output=True, text=True,
                              preexec_fn=lambda: os.sched_setaffinity(0, {self.core}))
        if done.returncode != 0:
            raise Failed(f"RabbitMQ did not start: {done.stderr.strip()}")
        with open(os.path.join(self.folder, "ports")) as ports:
            self.amqp_port = int(ports.read().split()[0])
        return self

    def stop(self, how=signal.SIGKILL):
        if self.amqp_port:
            subprocess.run([self.script, "kill", self.folder], capture_output=True)
            self.amqp_port = 0


class Bun(Server):
    """Bun's own subscribe and publish, without a broker."""
    kind = "bun"

    def command(self):
        return [BUN, os.path.join(HERE, "bun_server.js")]


class Bare(Server):
    """A loop of send()."""
    kind = "bare"

    def __init__(self, folder, core, program):
        super().__init__(folder, core)
        self.program = program

    def command(self):
        return [self.program]


class Load:
    """One process of aggregator_load: its answers are lines of JSON, and it takes lines while it lives."""

    def __init__(self, program, core, scenario, server, **keys):
        keys = {"kind": server.kind, "port": server.port, "pid": server.process.pid, "core": server.core,
                "amqp_port": server.amqp_port, **keys}
        if scenario in ("resume_prepare", "resume_storm", "burst", "flood", "noise"):
            del keys["kind"]  # of Foz alone
        self.process = subprocess.Popen([program, scenario, *pairs(keys)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, preexec_fn=pinned(core))

    def answer(self, timeout=ANSWER_TIMEOUT):
        line = ""
        if select.select([self.process.stdout], [], [], timeout)[0]:
            line = self.process.stdout.readline()
        if not line:
            self.process.kill()
            said = self.process.stderr.read().strip()
            self.end()
            raise Failed(said or f"the load said nothing for {timeout} s")
        return json.loads(line)

    def tell(self, text="", **keys):
        try:
            self.process.stdin.write(" ".join([text, *pairs(keys)]).strip() + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # answer() says why
        return self.answer()

    def end(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def pairs(keys):
    return [f"{key}={value}" for key, value in keys.items()]
