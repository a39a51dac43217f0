"""The broker as pika sees it: another client library, its own way through the protocol."""

import os
import unittest
import uuid

import pika
from pika.exceptions import (AMQPConnectionError, ChannelClosedByBroker, NackError, ProbableAccessDeniedError,
                             ProbableAuthenticationError, UnroutableError)

URL = os.environ["FOZ_TEST_BROKER"]


def fresh(what):
    return f"{what}-{uuid.uuid4().hex[:12]}"


class Case(unittest.TestCase):
    def setUp(self):
        self.connection = pika.BlockingConnection(pika.URLParameters(URL + "?heartbeat=30"))
        self.addCleanup(lambda: self.connection.is_open and self.connection.close())
        self.channel = self.connection.channel()

    def queue(self, **options):
        return self.channel.queue_declare("", exclusive=True, **options).method.queue

    def test_publish_and_get_with_all_properties(self):
        queue = self.queue()
        sent = pika.BasicProperties(content_type="text/plain", delivery_mode=2, priority=3, correlation_id="c",
                                    reply_to="r", expiration="60000", message_id="m", timestamp=1700000000, type="t",
                                    app_id="a", headers={"n": 1, "big": 2**40, "t": {"x": [1, "two", None, True]}})
        self.channel.basic_publish("", queue, b"body", sent)
        method, properties, body = self.channel.basic_get(queue, auto_ack=True)
        self.assertEqual((method.exchange, method.routing_key, body), ("", queue, b"body"))
        self.assertEqual(properties, sent)

    def test_generator_consumer_acknowledges_and_cancels(self):
        queue = self.queue()
        self.channel.basic_qos(prefetch_count=2)
        for i in range(20):
            self.channel.basic_publish("", queue, str(i))
        got = []
        for method, _, body in self.channel.consume(queue, inactivity_timeout=10):
            got.append(int(body))
            self.channel.basic_ack(method.delivery_tag)
            if len(got) == 20:
                break
        self.assertEqual(self.channel.cancel(), 0)
        self.assertEqual(got, list(range(20)))

    def test_callback_consumer_requeues_once(self):
        queue = self.queue()
        seen = []

        def on_message(channel, method, _, body):
            seen.append((body, method.redelivered))
            if len(seen) == 1:
                channel.basic_nack(method.delivery_tag, requeue=True)
            else:
                channel.basic_ack(method.delivery_tag)
                channel.stop_consuming()

        self.channel.basic_consume(queue, on_message)
        self.channel.basic_publish("", queue, b"x")
        self.connection.call_later(20, self.channel.stop_consuming)
        self.channel.start_consuming()
        self.assertEqual(seen, [(b"x", False), (b"x", True)])

    def test_confirms_unroutable_and_nacked(self):
        self.channel.confirm_delivery()
        self.channel.basic_publish("", self.queue(), b"fine", mandatory=True)
        with self.assertRaises(UnroutableError) as caught:
            self.channel.basic_publish("", fresh("nowhere"), b"lost", mandatory=True)
        self.assertEqual([m.body for m in caught.exception.messages], [b"lost"])
        full = self.queue(arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
        with self.assertRaises(NackError):
            self.channel.basic_publish("", full, b"no")

    def test_transactions(self):
        queue = self.queue()
        self.channel.tx_select()
        self.channel.basic_publish("", queue, b"kept")
        self.channel.tx_commit()
        self.channel.basic_publish("", queue, b"dropped")
        self.channel.tx_rollback()
        self.assertEqual(self.channel.queue_declare(queue, passive=True).method.message_count, 1)

    def test_exchange_bindings(self):
        source, target = fresh("s"), fresh("t")
        for name in (source, target):
            self.channel.exchange_declare(name, "topic", auto_delete=True)
        queue = self.queue()
        self.channel.queue_bind(queue, target, "a.#")
        self.channel.exchange_bind(target, source, "*.b")
        self.channel.basic_publish(source, "a.b", b"through")
        self.channel.basic_publish(source, "a.c", b"not")
        self.assertEqual(self.channel.basic_get(queue, auto_ack=True)[2], b"through")
        self.assertEqual(self.channel.basic_get(queue)[0], None)
        self.channel.exchange_unbind(target, source, "*.b")

    def test_an_error_closes_the_channel_alone(self):
        with self.assertRaises(ChannelClosedByBroker) as caught:
            self.channel.queue_declare(fresh("missing"), passive=True)
        self.assertEqual(caught.exception.reply_code, 404)
        self.assertTrue(self.connection.is_open)
        self.connection.channel().queue_declare("", exclusive=True)

    def test_the_end_of_a_queue_is_told(self):
        queue = self.queue()
        told = []
        self.channel.add_on_cancel_callback(lambda frame: told.append(frame.method.consumer_tag))
        tag = self.channel.basic_consume(queue, lambda *_: None)
        self.connection.channel().queue_delete(queue)
        self.connection.process_data_events(time_limit=10 if not told else 0)
        self.assertEqual(told, [tag])

    def test_a_wrong_password_and_a_wrong_virtual_host(self):
        wrong = pika.URLParameters(URL)
        wrong.credentials = pika.PlainCredentials("guest", "wrong")
        with self.assertRaises(ProbableAuthenticationError):
            pika.BlockingConnection(wrong)
        wrong = pika.URLParameters(URL)
        wrong.virtual_host = "nowhere"
        with self.assertRaises((ProbableAccessDeniedError, AMQPConnectionError)):
            pika.BlockingConnection(wrong)

    def test_a_large_message_with_small_frames(self):
        parameters = pika.URLParameters(URL + "?frame_max=4096")
        connection = pika.BlockingConnection(parameters)
        self.addCleanup(connection.close)
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        body = bytes(range(256)) * 4000
        channel.basic_publish("", queue, body)
        self.assertEqual(channel.basic_get(queue, auto_ack=True)[2], body)

    def test_a_stream_from_its_beginning(self):
        name = fresh("stream")
        self.channel.queue_declare(name, durable=True, arguments={"x-queue-type": "stream"})
        self.channel.confirm_delivery()
        for i in range(10):
            self.channel.basic_publish("", name, str(i))
        self.channel.basic_qos(prefetch_count=3)
        got = []
        for method, properties, body in self.channel.consume(name, arguments={"x-stream-offset": "first"},
                                                             inactivity_timeout=10):
            got.append((properties.headers["x-stream-offset"], body))
            self.channel.basic_ack(method.delivery_tag)
            if len(got) == 10:
                break
        self.channel.cancel()
        self.assertEqual(got, [(i, str(i).encode()) for i in range(10)])
        self.channel.queue_delete(name)


if __name__ == "__main__":
    unittest.main()
