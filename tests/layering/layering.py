"""Checks the structure of src/: who may include whom, no cycles, guards, and the length of files.

    layering.py PROJECT_ROOT

A module is a folder of ALLOWED; a file belongs to the longest one that its path begins with. Prints each violation and
exits with 1 when there is one.
"""
import pathlib
import re
import sys

ALLOWED = {
    "base": set(),
    "spec": set(),  # generated from spec/codes.json
    "amqp/codec": {"base"},
    "ws/codec": {"base"},
    "primus": {"base"},
    "envelope": {"base"},
    # Its one way out is libcurl, on threads of its own.
    "identity": {"base", "envelope"},
    "net": {"base"},
    "amqp/conn": {"base", "amqp/codec", "net"},
    "ws/conn": {"base", "ws/codec", "net"},
    "contract": {"base", "amqp/codec", "amqp/conn", "net"},
    "broker/core": {"base", "amqp/codec"},
    "broker/store": {"base", "amqp/codec", "broker/core"},
    "broker/front": {"base", "amqp/codec", "net", "broker/core"},
    "broker/definitions": {"base", "amqp/codec", "broker/core", "broker/front"},
    "broker": {"base", "net", "broker/core", "broker/definitions", "broker/store", "broker/front"},
    "aggregator": {"base", "amqp/codec", "net", "amqp/conn", "contract", "identity", "aggregator/session"},  # the settings
    # The rooms of the aggregator: arrows run shard → session, feed → channel.
    "aggregator/shard": {"base", "spec", "amqp/codec", "ws/codec", "primus", "envelope", "net", "amqp/conn", "ws/conn", "contract",
                         "identity", "aggregator", "aggregator/channel", "aggregator/feed", "aggregator/session"},
    "aggregator/feed": {"base", "spec", "amqp/codec", "ws/codec", "primus", "envelope", "net", "amqp/conn", "contract",
                        "aggregator", "aggregator/channel"},
    # Pure, as the channel; of net the timing wheel alone.
    "aggregator/session": {"base", "spec", "amqp/codec", "ws/codec", "primus", "envelope", "net", "contract",
                           "aggregator/channel"},
    # Pure: of the contract it may use what does not lead to a socket (reaches_io() sees that).
    "aggregator/channel": {"base", "spec", "amqp/codec", "ws/codec", "envelope", "contract"},
    "service": {"base", "amqp/codec", "net", "amqp/conn", "contract"},
    "ops": {"base", "envelope", "amqp/codec", "net", "amqp/conn", "ws/conn", "contract", "aggregator", "aggregator/feed", "aggregator/session", "aggregator/shard", "broker", "identity"},
    "cli": {"base", "broker", "amqp/codec", "ws/codec", "primus", "net", "amqp/conn", "aggregator", "aggregator/shard", "service", "contract", "identity", "ops"},
}
# These take octets or events and give values: nothing of them may open a socket, nor may a header that they include.
NO_IO = {"base", "amqp/codec", "ws/codec", "primus", "envelope", "broker/core", "aggregator/channel", "aggregator/session"}
LINES_MAX = 500
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def module_of(path):
    names = [m for m in ALLOWED if path == m or path.startswith(m + "/")]
    return max(names, key=len) if names else None


def cycles():
    """Modules that reach themselves through what they may include."""
    def reach(start):
        seen, todo = set(), list(ALLOWED[start])
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo += ALLOWED[module]
        return seen
    return [m for m in ALLOWED if m in reach(m)]


def reaches_io(src, path):
    """How a file comes to Asio: the includes on the way, or nothing."""
    seen, todo = {path}, [[path]]
    while todo:
        way = todo.pop()
        text = (src / way[-1]).read_text() if (src / way[-1]).is_file() else ""  # a generated header
        for bracket, name in INCLUDE.findall(text):
            if name.startswith("boost/asio"):
                return way[1:] + [name]
            if bracket == '"' and name not in seen:
                seen.add(name)
                todo.append(way + [name])
    return None


def check(root):
    found = [f"the table itself has a cycle through {m}" for m in cycles()]
    src = pathlib.Path(root) / "src"
    for file in sorted(p for p in src.rglob("*") if p.suffix in (".hpp", ".cpp")):
        path = file.relative_to(src).as_posix()
        text = file.read_text()
        module = module_of(path)
        if module is None:
            found.append(f"src/{path}: belongs to no module")
            continue
        if module in NO_IO and "/tests/" not in path and (way := reaches_io(src, path)):
            found.append(f"src/{path}: {module} does no I/O, but reaches " + " → ".join(way))
        if file.suffix == ".hpp" and "#pragma once" not in text:
            found.append(f"src/{path}: no #pragma once")
        if len(text.splitlines()) > LINES_MAX:
            found.append(f"src/{path}: more than {LINES_MAX} lines")
        for bracket, name in INCLUDE.findall(text):
            if bracket == "<":
                continue
            target = module_of(name)
            if target is None:
                if "/" in name:
                    found.append(f"src/{path}: includes \"{name}\", which is in no module")
            elif target != module and target not in ALLOWED[module]:
                found.append(f"src/{path}: {module} must not include {target} (\"{name}\")")
    return found


if __name__ == "__main__":
    violations = check(sys.argv[1])
    print("\n".join(violations) or "the layers are as they should be")
    sys.exit(1 if violations else 0)
