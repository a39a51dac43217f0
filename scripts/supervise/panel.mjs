// What the page's panel talks to: what runs, and orders to kill it. On this machine only, for who knows the token, and
// of browsers' pages only for the one that ./run shows.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const bodyBytesMax = 4096;
const listenersMax = 32;
const aliveMs = 15_000; // a line for proxies and for noticing who has gone

class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

const digest = (text) => createHash('sha256').update(text).digest();
const same = (a, b) => timingSafeEqual(digest(a), digest(b));

async function bodyOf(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > bodyBytesMax) throw new Refusal(413, `a body has at most ${bodyBytesMax} octets`);
    parts.push(part);
  }
  let value;
  try {
    value = JSON.parse(Buffer.concat(parts).toString() || '{}');
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refusal(400, 'a JSON object is expected');
  return value;
}

// `orders`: state(), and kill(body), poison(body), slow(body), which throw a Refusal. `pagePort`: of the page.
export class Panel {
  static Refusal = Refusal;
  #server;
  #listeners = new Set();
  #changed = false;

  constructor({ token, pagePort, orders }) {
    this.token = token;
    this.origins = [`http://127.0.0.1:${pagePort}`, `http://localhost:${pagePort}`];
    this.orders = orders;
    this.#server = createServer({ requestTimeout: 10_000 }, (request, response) => this.#serve(request, response));
    this.#server.maxConnections = 128;
    this.alive = setInterval(() => this.#listeners.forEach((one) => one.write(':\n\n')), aliveMs);
  }

  async open() {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    this.port = this.#server.address().port;
    return `http://127.0.0.1:${this.port}`;
  }

  close() {
    clearInterval(this.alive);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  // Tells those who listen, once for all that changes in one turn.
  changed() {
    if (this.#changed) return;
    this.#changed = true;
    setImmediate(() => {
      this.#changed = false;
      for (const one of this.#listeners) this.#tell(one);
    });
  }

  #tell(listener) {
    if (listener.writableLength > 1 << 20) return listener.destroy(); // it does not read
    listener.write(`data: ${JSON.stringify(this.orders.state())}\n\n`);
  }

  async #serve(request, response) {
    response.on('error', () => {});
    try {
      await this.#answer(request, response);
    } catch (error) {
      const status = error instanceof Refusal ? error.status : 500;
      if (!response.headersSent) this.#end(response, status, { error: error.message });
      if (status === 413) request.destroy();
    }
  }

  #end(response, status, value) {
    const text = value === undefined ? '' : JSON.stringify(value) + '\n';
    response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(text);
  }

  #check(request, url) {
    // A name that leads here although it is somebody else's (DNS rebinding) is in Host.
    if (![`127.0.0.1:${this.port}`, `localhost:${this.port}`].includes(request.headers.host))
      throw new Refusal(403, 'Host is not this panel');
    const { origin } = request.headers;
    if (origin !== undefined && !this.origins.includes(origin)) throw new Refusal(403, 'not for pages of this origin');
    if (request.method === 'OPTIONS') return;
    const inQuery = url.pathname === '/events' ? url.searchParams.get('token') : null;
    if (!same(request.headers['foz-panel-token'] ?? inQuery ?? '', this.token)) throw new Refusal(403, 'the token is wrong');
  }

  async #answer(request, response) {
    const url = new URL(request.url, 'http://panel');
    const { origin } = request.headers;
    response.setHeader('Vary', 'Origin');
    if (this.origins.includes(origin)) {
      response.setHeader('Access-Control-Allow-Origin', origin);
      response.setHeader('Access-Control-Allow-Headers', 'foz-panel-token, content-type');
      response.setHeader('Access-Control-Allow-Methods', 'GET, POST');
    }
    this.#check(request, url);
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    const gets = { '/state': () => this.#end(response, 200, this.orders.state()), '/events': () => this.#listen(request, response) };
    const posts = { '/kill': this.orders.kill, '/poison': this.orders.poison, '/slow': this.orders.slow };
    const [method, ways] = url.pathname in gets ? ['GET', gets] : ['POST', posts];
    if (!Object.hasOwn(ways, url.pathname)) throw new Refusal(404, 'there is no such thing');
    if (request.method !== method) throw new Refusal(405, method + ' is expected');
    if (method === 'GET') return ways[url.pathname]();
    await ways[url.pathname](await bodyOf(request));
    this.#end(response, 204);
  }

  #listen(request, response) {
    if (this.#listeners.size >= listenersMax) throw new Refusal(429, 'too many listen already');
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    this.#listeners.add(response);
    response.on('close', () => this.#listeners.delete(response));
    this.#tell(response);
  }
}
