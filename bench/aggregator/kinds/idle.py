"""User-space memory of a connection that does nothing, and what of it is still there a minute after all have gone. Memory
does not vary as times do, so this is measured once."""
import subprocess
import time

from processes import Failed
from rows import Row

TITLE = "Idle connections: user-space memory of each, and what has not returned after a minute"
COLUMNS = {"foz": "Foz", "before": "before", "bun": "Bun"}
COMPARE = [("foz", "bun"), ("foz", "before")]
CHANNELS = {"plain": "", "one": "chat", "three": "chat,voice,tickets"}
TITLES = {"plain": "plain", "one": "one channel", "three": "three channels", "tls": "TLS, one channel",
          "silent": "TLS, before its first octet"}
OVER_TLS = {"tls": {"tls": 1, "channels": "chat"}, "silent": {"silent": 1}}
SETTLED_KB = 64
SETTLE_SECONDS = 10
RETURNED = 0.05  # of what the connections took may stay


def run(context):
    rows = []
    certificate = make_certificate(context)
    for name, title in TITLES.items():
        held = Row(f"{name}_held", title, "KB", COMPARE)
        kept = Row(f"{name}_kept", f"{title}: not returned", "KB")
        for series in [*context.programs, *(["bun"] if context.has_bun and name in ("plain", "one") else [])]:
            context.say(f"{title}, {series}")
            try:
                one_server(context, held, kept, series, name, certificate)
            except Failed as why:
                held.fail(series, why)
                kept.fail(series, why)
        rows += [held, kept]
    return rows


def make_certificate(context):
    """One PEM file with key and certificate, for localhost."""
    path = context.new_folder() + ".pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-keyout", path, "-out", path + ".crt"],
                   check=True, capture_output=True)
    with open(path, "a") as both, open(path + ".crt") as certificate:
        both.write(certificate.read())
    return path


def one_server(context, held, kept, series, name, certificate):
    server = context.foz(series, certificate=certificate) if name in OVER_TLS else context.server_of(series)
    clients = context.choose(4_000 if name in OVER_TLS else 10_000, 100)  # below limits.handshakes
    keys = OVER_TLS.get(name) or {"channels": CHANNELS[name]}
    with context.running(server):
        come_and_go(context, server, [context.choose(200, 20)], keys, lambda: None)  # what is made once for all is there
        before = settled(server)
        taken = []
        # Two processes, since one can't have more than 20,000 descriptors.
        come_and_go(context, server, [clients // 2, clients - clients // 2], keys, lambda: taken.append(settled(server)))
        left, seconds = returned(context, server, before, taken[0])
        held.add(series, {"value": (taken[0] - before) / clients, "clients": clients, "before_kb": before,
                          "with_kb": taken[0]})
        kept.add(series, {"value": max(0, left - before) / clients, "clients": clients, "after_kb": left,
                          "after_seconds": seconds})


def come_and_go(context, server, shares, keys, meanwhile):
    loads = []
    try:
        for number, share in enumerate(shares):
            loads.append(context.load("idle", server, clients=share, source=f"127.0.0.{2 + 4 * number}", **keys))
            loads[-1].answer()
        meanwhile()
        for load in loads:
            gone = load.tell("end")["gone_before"]
            if gone:
                raise Failed(f"{gone} clients were closed")
    finally:
        for load in loads:
            load.end()


def settled(server):
    """Resident memory when it does not change any more."""
    last = server.anonymous_kb()
    for _ in range(2 * SETTLE_SECONDS):
        time.sleep(0.5)
        now = server.anonymous_kb()
        if abs(now - last) < SETTLED_KB:
            return now
        last = now
    return last


def returned(context, server, before, with_all):
    """Waits a minute at most until nearly everything has returned: what is there then, and after how many seconds."""
    begin = time.monotonic()
    limit = context.choose(60, 1)
    while True:
        now = server.anonymous_kb()
        seconds = time.monotonic() - begin
        if seconds > limit or now - before <= RETURNED * (with_all - before):
            return now, round(seconds, 1)
        time.sleep(0.5)
