#!/usr/bin/python3
"""The chat service (../chat) once more, in Python: what it does is here, how it is connected in worker.py."""
import argparse
import asyncio
import json
import logging
import os
import re
import signal
import sys
from collections import OrderedDict, deque

from worker import Refusal, run


def parse(body):
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise Refusal("bad_message", "an object is expected")
    return message


def text(message, name, bytes_max):
    value = message.get(name)
    if not isinstance(value, str):
        raise Refusal("bad_message", f"{name}: a string is expected")
    if not 1 <= len(value.encode("utf-8", "surrogatepass")) <= bytes_max:
        raise Refusal("bad_message", f"{name}: 1 to {bytes_max} bytes are expected")
    return value


def room_of(message):
    """A room's name becomes a word of the topic."""
    room = text(message, "room", 64)
    if not re.fullmatch("[a-z0-9_-]+", room):
        raise Refusal("bad_message", "room: a-z, 0-9, '-' and '_' are expected")
    return room


def spoken(request, message):
    return {
        "text": text(message, "text", 4000),
        "name": text(message, "name", 64) if "name" in message else "",
        "from": request.client,
    }


class History:
    """The last messages of each room, from what all workers say. The rooms that are silent for longest are forgotten
    first."""

    def __init__(self):
        self.rooms = OrderedDict()

    def hear(self, routing_key, properties, body):
        of_room = re.fullmatch(r"chat\.room\.([^.]+)", routing_key)
        if not of_room or properties.type != "said":
            return
        last = self.rooms.setdefault(of_room[1], deque(maxlen=50))
        if any(id == properties.message_id for id, _ in last):
            return  # said again after a crash
        try:
            last.append((properties.message_id, parse(body)))
        except Refusal:
            return  # no worker of ours said that
        self.rooms.move_to_end(of_room[1])
        if len(self.rooms) > 1000:
            self.rooms.popitem(last=False)

    def last(self, room, limit):
        last = list(self.rooms.get(room, ()))[-limit:]
        return {"room": room, "messages": [body for _, body in last], "ids": [id for id, _ in last]}


def say(request):
    message = parse(request.body)
    room = room_of(message)
    request.broadcast({**spoken(request, message), "room": room}, topic=f"room.{room}", type="said")
    return {"ok": True}


def whisper(request):
    message = parse(request.body)
    request.direct([text(message, "to", 128)], spoken(request, message), type="whispered")
    return {"ok": True}


def team(request):
    message = parse(request.body)
    group = text(message, "group", 128)
    request.multicast([group], {**spoken(request, message), "group": group}, type="said")
    return {"ok": True}


def echo(request):
    return request.body  # byte for byte


def begin():
    """What one connection works with."""
    rooms = History()

    def history(request):
        message = parse(request.body)
        room, limit = room_of(message), message.get("limit", 20)
        if type(limit) is not int or not 1 <= limit <= 50:
            raise Refusal("bad_message", "limit: a number from 1 to 50 is expected")
        return rooms.last(room, limit)

    return {"say": say, "whisper": whisper, "team": team, "echo": echo, "history": history}, rooms.hear


def notice(line):
    print("foz-chat:", line, file=sys.stderr, flush=True)


def up_to_999(value):
    if not re.fullmatch("[1-9][0-9]{0,2}", value):
        raise argparse.ArgumentTypeError("1 to 999 is expected")
    return int(value)


async def main():
    parser = argparse.ArgumentParser(
        description='The chat service: takes messages of channel "chat" from a broker and answers them.')
    parser.add_argument("--broker", metavar="URL", action="append",
                        help="amqp:// or amqps://, repeatable: the first that answers is used "
                             "(FOZ_BROKER; amqp://127.0.0.1:5672)")
    parser.add_argument("--concurrency", metavar="N", type=up_to_999, default=1,
                        help="messages that are handled at once (1)")
    options = parser.parse_args()
    urls = options.broker or [os.environ.get("FOZ_BROKER") or "amqp://127.0.0.1:5672"]
    if not all(re.match("amqps?://", url) for url in urls):
        parser.error("argument --broker: an AMQP URL is expected")
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # what went wrong is said by notice()
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal():
        stop.set()
        loop.call_later(30, os._exit, 1)  # a broker that does not answer does not keep us

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await run(urls, stop, begin, channel="chat", concurrency=options.concurrency, on_ready=lambda: notice("ready"),
              notice=notice)


if __name__ == "__main__":
    asyncio.run(main())
