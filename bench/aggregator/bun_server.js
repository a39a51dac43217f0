// Bun's WebSocket server with its own subscribe and publish, beside which the aggregator is measured. Prints its port.
//
// "sa b c": hear these topics, answered by "ok". "pTOPIC BODY": publish.
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request, self) {
    if (!self.upgrade(request)) return new Response('a WebSocket is wanted', { status: 426 });
  },
  websocket: {
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: false,
    maxPayloadLength: 16 << 20,
    backpressureLimit: 64 << 20,
    message(socket, text) {
      if (text[0] === 's') {
        for (const topic of text.slice(1).split(' ')) socket.subscribe(topic);
        socket.send('ok');
        return;
      }
      const space = text.indexOf(' ');
      server.publish(text.slice(1, space), text.slice(space + 1));
    },
  },
});
console.log(server.port);
