"""Runs a program in a pseudo-terminal.

    in_terminal.py COLUMNS ROWS PROGRAM [ARGUMENT …]

What the program writes goes to stdout as it is. Each line of stdin is a command: `keys JSON` types a string,
`size COLUMNS ROWS` resizes, `signal NAME` sends one. Ends with the program; the last line of stderr tells whether the
terminal echoes and waits for lines then, and how the program ended.
"""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios

LONGEST_S = 60


def resize(terminal, columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))


def obey(command, child, terminal):
    name, _, rest = command.partition(" ")
    if name == "keys":
        os.write(terminal, json.loads(rest).encode())
    elif name == "size":
        resize(terminal, *rest.split())
    elif name == "signal":
        os.kill(child, getattr(signal, rest))


def main():
    columns, rows, *program = sys.argv[1:]
    terminal, inside = pty.openpty()
    resize(terminal, columns, rows)
    child = os.fork()
    if child == 0:
        take(inside)
        os.execv(program[0], program)
    signal.alarm(LONGEST_S)
    commands, watched = b"", [terminal, 0]
    code = None
    while code is None:
        ready, _, _ = select.select(watched, [], [], 0.05)
        if terminal in ready:
            os.write(1, os.read(terminal, 65536))
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                watched.remove(0)
            *whole, commands = (commands + read).split(b"\n")
            for one in whole:
                obey(one.decode(), child, terminal)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
    while select.select([terminal], [], [], 0)[0]:
        os.write(1, os.read(terminal, 65536))
    flags = termios.tcgetattr(inside)[3]
    as_before = bool(flags & termios.ECHO) and bool(flags & termios.ICANON)
    print(json.dumps({"code": code, "as_before": as_before}), file=sys.stderr)


def take(inside):
    """The terminal becomes the child's own, on all three."""
    os.setsid()
    fcntl.ioctl(inside, termios.TIOCSCTTY, 0)
    for descriptor in range(3):
        os.dup2(inside, descriptor)
    os.close(inside)


main()
