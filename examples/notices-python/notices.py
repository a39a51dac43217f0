#!/usr/bin/python3
"""A small service: a notice that is posted on channel "notices" is heard by everybody there.

About the least that a service can be: pika's BlockingConnection, one message at a time. Nothing is declared here; the
channel is made in Foz's configuration, and its exchanges and queues are Foz's. ../chat-python does more.
"""
import argparse
import json
import logging
import os
import random
import signal
import sys
import time

import pika


class Refusal(Exception):
    """The caller gets it as an error: code and words."""


def notice_of(kind, body):
    """The notice that a request wants to be heard."""
    if kind != "post":
        raise Refusal("unknown_type", "no handler takes this type of message")
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise Refusal("bad_message", "an object is expected")
    for field in ("title", "text"):
        if not isinstance(message.get(field), str):
            raise Refusal("bad_message", f"{field}: a string is expected")
    return {"title": message["title"], "text": message["text"], "at": int(time.time() * 1000)}


def work(channel, method, request, body):
    """Handles one message; acknowledged last, so that a crash before that repeats the work."""
    said = 0

    def publish(exchange, key, content, **properties):
        nonlocal said
        # Derived ids: what is said twice is heard once.
        id = request.message_id and f"{request.message_id}/{said}"
        said += 1
        what = pika.BasicProperties(message_id=id, delivery_mode=2, content_type="application/json",
                                    timestamp=int(time.time()), **properties)
        # What no queue takes although the channel has a stream comes back: RabbitMQ takes connections before it has
        # recovered its streams, and would confirm and drop what is not mandatory.
        mandatory = exchange == "OUTBOUND" or key == "OUT_NOTICES"
        end = time.monotonic() + 10
        while True:
            try:
                # Returns when the broker has it, as the channel confirms; raises when it does not take it.
                return channel.basic_publish(exchange, key, json.dumps(content).encode(), what, mandatory)
            except pika.exceptions.UnroutableError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.25)

    answer, headers = {"ok": True}, None
    try:
        notice = notice_of(request.type, body)
        publish("OUTBOUND", "notices.notice", notice, type="posted", headers={"foz-broadcast": True})
    except Refusal as error:
        answer = dict(zip(("code", "message"), error.args))
        headers = {"foz-error": answer["code"]}
    if request.reply_to:  # plain AMQP RPC, through the default exchange
        publish("", request.reply_to, answer, correlation_id=request.correlation_id, headers=headers)
    channel.basic_ack(method.delivery_tag)


def live(url, stopping, notice):
    """One connection from beginning to end."""
    parameters = pika.URLParameters(url)
    parameters.blocked_connection_timeout = 30  # a broker that takes nothing any more is as good as none
    connection = pika.BlockingConnection(parameters)
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_qos(prefetch_count=1)  # no more than is worked on: other workers may have time
        tag = channel.basic_consume("IN_NOTICES", work)
        notice("ready")
        while not stopping:
            if not (channel.is_open and channel.consumer_tags):
                raise RuntimeError("IN_NOTICES was deleted")
            connection.process_data_events(time_limit=0.5)
        channel.basic_cancel(tag)
    finally:
        if connection.is_open:
            connection.close()


def main():
    parser = argparse.ArgumentParser(description='Takes notices of channel "notices" from a broker; all hear them.')
    parser.add_argument("--broker", metavar="URL", default=os.environ.get("FOZ_BROKER") or "amqp://127.0.0.1:5672",
                        help="amqp:// or amqps:// (FOZ_BROKER; amqp://127.0.0.1:5672)")
    url = parser.parse_args().broker
    if not url.startswith(("amqp://", "amqps://")):
        parser.error("argument --broker: an AMQP URL is expected")
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # what went wrong is said by notice()
    stopping = []

    def on_signal(number, _):
        stopping.append(number)
        signal.alarm(30)  # a broker that does not answer does not keep us

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)

    def notice(line):
        print("foz-notices:", line, file=sys.stderr, flush=True)

    while not stopping:
        try:
            live(url, stopping, notice)
        except (pika.exceptions.AMQPError, OSError, RuntimeError) as why:
            notice(f"{str(why) or repr(why)}; trying again")
            time.sleep(random.uniform(0.1, 3))  # jitter: not all workers at once when the broker is back


if __name__ == "__main__":
    main()
