"""Runs clang-tidy over the sources, and compiles every header alone: without precompiled headers, so that a file which
includes too little is found.

    tidy.py [PATTERN]      only files whose path contains PATTERN

The release build's compile_commands.json says how; build/lint/compile_commands.json is that without precompiled headers.
clang-tidy reads the sources that ship (.clang-tidy). Of each header that is not the first include of one of them, clang
checks the syntax: every header compiles alone.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIRST_INCLUDE = re.compile(r'^#include (["<])([^">]+)[">]', re.M)


def database():
    """Compile commands by source, as in the release build, without precompiled headers."""
    commands = {}
    for entry in json.loads((ROOT / "build/release/compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if not path.is_relative_to(ROOT) or path.is_relative_to(ROOT / "build"):
            continue
        words = shlex.split(entry["command"])
        kept = []
        for word in words:
            if word.endswith("/cmake_pch.hxx") and kept[-1] == "-include":
                kept.pop()
            elif word not in ("-Winvalid-pch", "-fpch-preprocess"):
                kept.append(word)
        commands.setdefault(path.relative_to(ROOT).as_posix(), {**entry, "command": shlex.join(kept)})
    folder = ROOT / "build/lint"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(list(commands.values()), indent=1))
    return commands


def tracked(*patterns):
    return subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, check=True, capture_output=True,
                          text=True).stdout.split("\0")[:-1]


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


def main(pattern):
    commands = database()
    headers = set(tracked("*.hpp"))
    sources = [path for path in tracked("*.cpp") if path in commands]
    tidied = [path for path in sources if path.startswith(("src/", "examples/")) and not is_test(path)]
    covered = {first_header(path, headers) for path in tidied}
    compiled = sorted(path for path in headers - covered if path.startswith(("src/", "examples/")) and not is_test(path))

    def tidy(path):
        words = ["clang-tidy-19", "--quiet", "-p", "build/lint", "--extra-arg=-Wno-unknown-warning-option",
                 "--extra-arg=-Wno-deprecated-declarations", path]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)

    def compile_alone(path):
        words, folder = syntax(commands, path)
        return subprocess.run(words, cwd=folder, capture_output=True, text=True)

    failed = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(check, path): path
                for check, paths in ((tidy, tidied), (compile_alone, compiled)) for path in paths if pattern in path}
        for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            print(f"[{done}/{len(jobs)}] {jobs[job]}", flush=True)
            result = job.result()
            if result.returncode != 0:
                failed.append(jobs[job])
                print(f"{jobs[job]}:\n{result.stdout}{result.stderr}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
