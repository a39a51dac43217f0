"""A Foz worker with pika: takes requests from a channel's queue, says what the handlers say, answers. Nothing is
declared here: exchanges and queues are Foz's."""
import asyncio
import datetime
import json
import random
import time
import traceback
import urllib.parse
import uuid

import pika
from pika.adapters.asyncio_connection import AsyncioConnection


class Refusal(Exception):
    """Raised by a handler: the caller gets it as an error."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def encode(body):
    return json.dumps(body, separators=(",", ":")).encode()


class Request:
    """One message that a handler works on. What it says is collected, and published when it has returned."""

    def __init__(self, channel, properties, body):
        self.channel, self.properties, self.body, self.said = channel, properties, body, []
        client = (properties.headers or {}).get("foz-client")
        self.client = client if isinstance(client, str) else ""  # "": not a client's, or not well made

    # Receivers are headers; lists in them are JSON text, as streams drop headers that are arrays.
    def broadcast(self, body, **options):
        self._say({"foz-broadcast": True}, body, **options)

    def multicast(self, groups, body, **options):
        self._say({"foz-multicast": json.dumps(groups)}, body, **options)

    def direct(self, clients, body, **options):
        self._say({"foz-direct": json.dumps(clients)}, body, **options)

    def _say(self, headers, body, type=None, topic=None):
        key = f"{self.channel}.{topic}" if topic else self.channel
        self.said.append(("OUTBOUND", key, encode(body), {"headers": headers, "type": type}))

    def reply(self, body, headers=None):
        """Plain AMQP RPC: through the default exchange to the queue that the request names."""
        if self.properties.reply_to:
            content = body if isinstance(body, bytes) else encode(body)
            properties = {"headers": headers, "correlation_id": self.properties.correlation_id}
            self.said.append(("", self.properties.reply_to, content, properties))

    def handle(self, handlers):
        """Everything there is to publish."""
        try:
            if self.properties.type not in handlers:
                raise Refusal("unknown_type", "no handler takes this type of message")
            self.reply(handlers[self.properties.type](self))
        except Refusal as error:
            self.said = []
            self.reply({"code": error.code, "message": str(error)}, {"foz-error": error.code})
        return self.said


def settle(future, result=None):
    if not future.done():
        future.set_result(result)


class Link:
    """One connection. Nothing outlives it: the broker delivers again what was not acknowledged, and the stream is read
    again."""

    def __init__(self, name, handlers, hear, notice):
        self.name, self.handlers, self.hear, self.notice = name, handlers, hear, notice
        self.loop = asyncio.get_running_loop()
        self.waiting, self.working = set(), set()
        self.connection, self.unconfirmed, self.published, self.returned = None, {}, 0, set()
        self.lost = self.future()

    def future(self):
        """What the broker will tell; an exception when the connection is lost before."""
        future = self.loop.create_future()
        self.waiting.add(future)
        future.add_done_callback(self.waiting.discard)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # also when nobody asks
        return future

    def fail(self, why):
        for future in self.waiting:
            future.done() or future.set_exception(why)

    async def ask(self, method, *args, reply="callback", **options):
        """Calls a method of pika's and waits for the broker's reply."""
        future = self.future()
        method(*args, **{reply: lambda answer: settle(future, answer)}, **options)
        return await asyncio.wait_for(future, 30)

    async def open_channel(self, prefetch):
        channel = await self.ask(self.connection.channel, reply="on_open_callback")
        channel.add_on_close_callback(lambda _, why: self.fail(why))
        channel.add_on_cancel_callback(lambda frame: self.fail(RuntimeError("a queue was deleted")))
        await self.ask(channel.basic_qos, prefetch_count=prefetch)
        return channel

    async def begin(self, url, concurrency):
        def on_end(_, why):
            self.connection = None
            self.fail(why)

        self.connection = await self.ask(AsyncioConnection, pika.URLParameters(url), reply="on_open_callback",
                                         on_open_error_callback=on_end, on_close_callback=on_end)
        # No more than is worked on: other workers may have time.
        self.channel = await self.open_channel(concurrency)
        await self.ask(self.channel.confirm_delivery, self.on_confirm)
        self.channel.add_on_return_callback(lambda _, method, properties, body: self.returned.add(properties.message_id))
        await self.follow("OUT_" + self.name.upper())
        self.tag = f"foz-{uuid.uuid4()}"
        await self.ask(self.channel.basic_consume, f"IN_{self.name.upper()}", self.on_request, consumer_tag=self.tag)

    async def follow(self, stream):
        """Reads a stream, which takes nothing from its other readers, until what was there at the beginning has been
        read, which a marker of our own tells; and goes on reading."""
        marker, at_end = str(uuid.uuid4()), self.future()

        def on_said(channel, method, properties, body):
            channel.basic_ack(method.delivery_tag)
            if properties.message_id != marker:
                self.hear(method.routing_key, properties, body)
            else:
                settle(at_end)

        channel = await self.open_channel(200)  # streams insist on a prefetch and on acknowledgements
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=24)
        await self.ask(channel.basic_consume, stream, on_said, arguments={"x-stream-offset": since})
        await self.publish("", stream, b"null", type="foz.marker", message_id=marker)
        await at_end

    def publish_once(self, exchange, key, body, mandatory, **properties):
        """A future: done when the broker has answered. A nack or a late confirm ends the connection: a new one helps
        when a queue's leader has died with its node, and the work is done again under the same ids."""
        self.channel.basic_publish(exchange, key, body, pika.BasicProperties(
            delivery_mode=2, content_type="application/json", timestamp=int(time.time()), **properties), mandatory)
        self.published += 1
        confirmed = self.unconfirmed[self.published] = self.future()
        late = self.loop.call_later(30, self.fail, RuntimeError("no confirm within 30 s"))
        confirmed.add_done_callback(lambda _: late.cancel())
        return confirmed

    async def publish(self, exchange, key, body, *, message_id, **properties):
        """Returns when the broker has it in a queue. What no queue takes although the channel has a stream comes back,
        before its confirm, and is published again: RabbitMQ takes connections before it has recovered its streams, and
        would confirm and drop what is not mandatory."""
        stream = "OUT_" + self.name.upper()
        end = time.monotonic() + 10
        while True:
            await self.publish_once(exchange, key, body, exchange == "OUTBOUND" or key == stream, message_id=message_id,
                                    **properties)
            if message_id not in self.returned:
                return
            self.returned.discard(message_id)
            if time.monotonic() > end:
                raise RuntimeError(stream + " takes nothing")
            await asyncio.sleep(0.25)

    def on_confirm(self, frame):
        if isinstance(frame.method, pika.spec.Basic.Nack):
            return self.fail(RuntimeError("the broker could not take a message"))
        last = frame.method.delivery_tag
        for tag in [tag for tag in self.unconfirmed if tag <= last] if frame.method.multiple else [last]:
            settle(self.unconfirmed.pop(tag))

    def on_request(self, channel, method, properties, body):
        work = asyncio.ensure_future(self.take(method.delivery_tag, properties, body))
        self.working.add(work)
        work.add_done_callback(self.working.discard)

    async def take(self, tag, properties, body):
        try:
            said = Request(self.name, properties, body).handle(self.handlers)
        except Exception:  # a bug; tried again up to the queue's delivery limit, then the caller is told
            self.notice(traceback.format_exc())
            # What it needs may be away for a minute: the pause grows.
            await asyncio.sleep(min(5, 0.1 * 2 ** (properties.headers or {}).get("x-delivery-count", 0)))
            return self.channel.basic_nack(tag)
        # Derived ids: what is said twice is heard once. Acknowledged last: a crash before that repeats the work.
        begin = properties.message_id or uuid.uuid4()
        ids = [f"{begin}/{ordinal}" for ordinal in range(len(said))]
        try:
            await asyncio.gather(*[self.publish(*what, **how, message_id=id) for id, (*what, how) in zip(ids, said)])
            self.channel.basic_ack(tag)
        except Exception as why:
            self.fail(why)

    async def drain(self):
        """Takes nothing more and finishes what was taken: what is given back counts as one more attempt."""
        await self.ask(self.channel.basic_cancel, self.tag)
        await asyncio.gather(*self.working)

    async def close(self):
        if self.connection:
            closed = self.future()
            self.connection.close()
            await asyncio.wait([closed], timeout=5)


async def run(urls, stop, begin, *, channel, concurrency, on_ready, notice):
    """Works until `stop` (an asyncio.Event), on one of the brokers. `begin` is called for every connection and returns
    the handlers, a table of functions (request) -> reply by type, and a function (routing_key, properties, body) that
    is called with everything that was said on the channel in the last 24 hours, before the first request, and with what
    is said from then on, whichever worker says it."""
    attempt = 0
    while not stop.is_set():
        url = urls[attempt % len(urls)]
        attempt += 1
        link = Link(channel, *begin(), notice)
        try:
            await until(stop, link.begin(url, concurrency))
            if not stop.is_set():
                attempt = 0
                on_ready()
                await until(stop, link.lost)
                await link.drain()
        except Exception as why:
            why = "the broker does not answer" if isinstance(why, asyncio.TimeoutError) else str(why) or repr(why)
            notice(f"{urllib.parse.urlsplit(url).netloc.rpartition('@')[2]}: {why}")
        await link.close()
        # Jitter: not all workers at once when the broker is back.
        await until(stop, asyncio.sleep(0.05 + random.random() * min(5, 0.25 * 2 ** attempt)))


async def until(stop, work):
    """Waits for the work, but not longer than until `stop`."""
    both = [asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())]
    done, rest = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for one in rest:
        one.cancel()
    for one in done:
        one.result()
