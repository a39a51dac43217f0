"""Instructions of the whole server for each broadcast to one of many topics, patterns or groups, counted by callgrind: they
don't depend on what else the machine does. Foz alone; once, since they repeat."""
import glob
import os
import re
import shutil
import subprocess

from kinds.interests import COMPARE, COUNTS, KINDS, SERIES
from processes import Failed
from rows import Row

TITLE = "Instructions for a broadcast to one of many topics, patterns, groups"
WINDOW = 8
AT_LEAST = 100  # broadcasts that are counted
PATIENCE = 200  # seconds for one of them: callgrind is slow

COLUMNS = {str(count): f"{count:,}" for count in COUNTS}


def run(context):
    if not shutil.which("valgrind"):
        context.note("instructions: valgrind is not installed, so they are not counted (scripts/install bench)")
        return None
    rows = []
    for kind, title in context.choose(KINDS, {"topics": KINDS["topics"]}).items():
        for series in context.programs:
            row = Row(f"{kind}_{series}", f"{title}, {SERIES[series]}", "instructions", COMPARE)
            for count in context.choose(COUNTS, (10,)):
                context.say(f"{count:,} {row.title}")
                try:
                    row.add(str(count), counted(context, series, kind, count))
                except Failed as why:
                    row.fail(str(count), why)
            rows.append(row)
    return rows


def counted(context, series, kind, count):
    """Begins to count when all have consumed; the callgrind file has the sum."""
    wrapper = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=counted"]
    server = context.foz(series, wrapper=wrapper)
    with context.running(server):
        with context.load("interests", server, of=kind, count=count, channel="voice", patience=PATIENCE) as load:
            load.answer()
            control(server, "--instr=on")
            found = load.tell(window=WINDOW, seconds=context.choose(5, 0.5), warm_up=0, at_least=AT_LEAST)
            control(server, "--instr=off")
            control(server, "--dump")
        total = sum(sum_in(path) for path in glob.glob(os.path.join(server.folder, "counted*")))
    if not total or not found["published"]:
        raise Failed("callgrind counted nothing")
    return {"value": total / found["published"], "published": found["published"]}


def control(server, what):
    done = subprocess.run(["callgrind_control", what, str(server.process.pid)], capture_output=True, text=True, timeout=120)
    if done.returncode != 0 or "Error" in done.stdout:
        raise Failed(f"callgrind_control {what}: {(done.stderr or done.stdout).strip()}")


def sum_in(path):
    with open(path) as dump:
        return sum(int(found) for found in re.findall(r"^totals: (\d+)$", dump.read(), re.M))
