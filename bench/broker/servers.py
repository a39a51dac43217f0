"""The servers that are compared. Each runs on one core, on loopback, with a data folder of its own."""
import os
import shutil
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_TIMEOUT = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port):
    """Until somebody listens there and answers AMQP's protocol header."""
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                s.settimeout(2)
                s.sendall(b"AMQP\x00\x00\x09\x01")
                if s.recv(1) == b"\x01":
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"nothing answers on port {port}")


class Server:
    """start() and stop() may be called in turn; the data stays until clear()."""
    name = title = ""
    restart_each_run = False   # see Garagemq
    keeps_queues = False       # deleting a queue is asking for trouble
    has_streams = False

    def __init__(self, folder, core):
        self.folder = os.path.join(folder, self.name)
        self.core = core
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def launch(self):
        """Does not wait until it is ready."""
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "console"), "a") as console:
            self.process = subprocess.Popen(["taskset", "-c", str(self.core), *self.command()], stdin=subprocess.DEVNULL,
                                            stdout=console, stderr=console, start_new_session=True)

    def start(self):
        self.launch()
        wait_for_port(self.port)

    def pid(self):
        return self.process.pid  # taskset replaces itself

    def stop(self):
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(20)
        self.process = None

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def version(self):
        return ""


class Foz(Server):
    name, title = "foz", "Foz"
    has_streams = True

    def __init__(self, folder, core, build):
        super().__init__(folder, core)
        self.program = os.path.join(build, "src/cli/foz")

    def command(self):
        return [self.program, "broker", "--data", os.path.join(self.folder, "data"), "--listen", f"127.0.0.1:{self.port}"]


class Null(Server):
    """No broker at all: how far the load and the kernel go."""
    name, title = "null", "Limit"
    has_streams = True

    def __init__(self, folder, core, build):
        super().__init__(folder, core)
        self.program = os.path.join(build, "bench/broker/broker_null")

    def command(self):
        return [self.program, str(self.port)]


class RabbitMQ(Server):
    name, title = "rabbitmq", "RabbitMQ"
    has_streams = True
    script = os.path.join(ROOT, "scripts/rabbitmq")

    def launch(self):
        self.process = subprocess.Popen(["taskset", "-c", str(self.core), self.script, "start", self.folder],
                                        stdout=subprocess.DEVNULL)

    def start(self):
        self.launch()
        if self.process.wait(START_TIMEOUT + 30) != 0:
            raise RuntimeError("RabbitMQ did not start")
        self.port = self.known_port()

    def known_port(self):
        """It keeps its ports over restarts."""
        with open(os.path.join(self.folder, "ports")) as ports:
            return int(ports.read().split()[0])

    def pid(self):
        with open(os.path.join(self.folder, "pid")) as pid:
            return int(pid.read())

    def stop(self):
        if self.process:
            self.process.wait(START_TIMEOUT + 30)
            subprocess.run([self.script, "kill", self.folder], check=True)
        self.process = None

    def version(self):
        return debian_version("rabbitmq-server")


class Garagemq(Server):
    """Deleting a queue that was under load hangs it, and what remains slows it: started again for every run."""
    name, title = "garagemq", "garagemq"
    restart_each_run = True
    keeps_queues = True
    configuration = """proto: amqp-rabbit
users:
  - username: guest
    password: 084e0343a0486ff05530df6c705c8bb4
tcp:
  ip: 127.0.0.1
  port: {port}
  nodelay: true
  readBufSize: 196608
  writeBufSize: 196608
admin:
  ip: 127.0.0.1
  port: {admin_port}
queue:
  shardSize: 8192
  maxMessagesInRam: 131072
db:
  defaultPath: {folder}/db
  engine: badger
vhost:
  defaultPath: /
security:
  passwordCheck: md5
connection:
  channelsMax: 4096
  frameMaxSize: 65536
"""

    def command(self):
        path = os.path.join(self.folder, "config.yaml")
        with open(path, "w") as out:  # Debian's own, but for ports, folder and TCP_NODELAY
            out.write(self.configuration.format(port=self.port, admin_port=free_port(), folder=self.folder))
        return ["garagemq", "--config", path]

    def version(self):
        return debian_version("garagemq")


def debian_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout.strip()
