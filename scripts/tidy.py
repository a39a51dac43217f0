"""Runs clang-tidy over the sources, and compiles every header alone: without precompiled headers, so that a file which
includes too little is found.

    tidy.py [PATTERN]      only files whose path contains PATTERN
    tidy.py --for SECONDS  what there is time for: first what the last commits have touched, then the rest, in another
                           order for each commit

The tree build/lint says how: it is configured as the release build, with each source by itself and without precompiled
headers, and of it only the generated headers are built. build/lint/by_source has one command for each source. clang-tidy
reads the sources that ship (.clang-tidy). Of each header that is not the first include of one of them, clang checks the
syntax: every header compiles alone.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TREE = ROOT / "build/lint"
FIRST_INCLUDE = re.compile(r'^#include (["<])([^">]+)[">]', re.M)


def database():
    """Compile commands by source, each source by itself, without precompiled headers."""
    subprocess.run(["cmake", "--preset", "release", "-B", TREE, "-DFOZ_PCH=OFF", "-DFOZ_UNITY=OFF"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", TREE, "foz_spec_header", "foz_amqp_codec_generated"], check=True,
                   stdout=subprocess.DEVNULL)
    commands = {}
    for entry in json.loads((TREE / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "build"):
            commands.setdefault(path.relative_to(ROOT).as_posix(), entry)
    (TREE / "by_source").mkdir(exist_ok=True)
    (TREE / "by_source/compile_commands.json").write_text(json.dumps(list(commands.values()), indent=1))
    return commands


def tracked(*patterns):
    return subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, check=True, capture_output=True,
                          text=True).stdout.split("\0")[:-1]


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def urgency():
    """A key to sort paths by: what was touched last comes first; what comes after the last 10 commits is shuffled."""
    recent = {}
    for path in git("log", "-n", "10", "--name-only", "--pretty=format:").split("\n"):
        recent.setdefault(path, len(recent))
    head = git("rev-parse", "HEAD").strip()
    return lambda path: (recent.get(path, len(recent)), zlib.crc32(f"{head} {path}".encode()))


def is_test(path):
    return re.search(r"/(tests|fuzz)/|_test\.cpp$", path) is not None


def first_header(source, headers):
    """The header of ours that a source includes before anything else."""
    found = FIRST_INCLUDE.search((ROOT / source).read_text())
    if found is None or found[1] != '"':
        return None
    for folder in (os.path.dirname(source), "src", "examples"):
        path = os.path.normpath(f"{folder}/{found[2]}")
        if path in headers:
            return path
    return None


def syntax(commands, path):
    """The command that compiles a source or, as the source nearest to it is compiled, a header."""
    source = path if path in commands else max(commands, key=lambda other: len(os.path.commonprefix([path, other])))
    entry = commands[source]
    words = shlex.split(entry["command"])
    del words[words.index("-c"):]
    del words[words.index("-o"):words.index("-o") + 2]
    return ["clang++-19", *words[1:], "-w", "-fsyntax-only", "-x", "c++", str(ROOT / path)], entry["directory"]


def main(wanted="", seconds=None):
    commands = database()
    headers = set(tracked("*.hpp"))
    sources = [path for path in tracked("*.cpp") if path in commands]
    tidied = [path for path in sources if path.startswith(("src/", "examples/")) and not is_test(path)]
    covered = {first_header(path, headers) for path in tidied}
    compiled = sorted(path for path in headers - covered if path.startswith(("src/", "examples/")) and not is_test(path))

    def tidy(path):
        words = ["clang-tidy-19", "--quiet", "-p", "build/lint/by_source", "--extra-arg=-Wno-unknown-warning-option",
                 "--extra-arg=-Wno-deprecated-declarations", path]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)

    def compile_alone(path):
        words, folder = syntax(commands, path)
        return subprocess.run(words, cwd=folder, capture_output=True, text=True)

    jobs = [(check, path) for check, paths in ((tidy, tidied), (compile_alone, compiled)) for path in paths if wanted in path]
    end = None
    if seconds is not None:
        key = urgency()
        jobs.sort(key=lambda job: key(job[1]))
        end = time.monotonic() + seconds

    def in_time(check, path):
        return check(path) if end is None or time.monotonic() < end else None

    failed, skipped = [], 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(in_time, *job): job[1] for job in jobs}
        for done, job in enumerate(concurrent.futures.as_completed(running), 1):
            result = job.result()
            if result is None:
                skipped += 1
                continue
            print(f"[{done - skipped}/{len(jobs)}] {running[job]}", flush=True)
            if result.returncode != 0:
                failed.append(running[job])
                print(f"{running[job]}:\n{result.stdout}{result.stderr}", flush=True)
    if skipped:
        print(f"there was no time for {skipped} of {len(jobs)} files", flush=True)
    return 1 if failed else 0


def seconds(text):
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def command_line(words):
    parser = argparse.ArgumentParser(prog="lint tidy", description="Runs clang-tidy, and compiles every header alone.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("pattern", nargs="?", default="", metavar="PATTERN", help="only files whose path contains PATTERN")
    which.add_argument("--for", type=seconds, dest="seconds", metavar="SECONDS",
                       help="what there is time for, the files of the last commits first")
    return parser.parse_args(words)


if __name__ == "__main__":
    chosen = command_line(sys.argv[1:])
    sys.exit(main(chosen.pattern, chosen.seconds))
