// Tabs of a real Chromium on the page that ./run shows, and a stand-in for the panel of ./run.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { chat, playwright, tickets, voice } from './lib.mjs';

export const wide = { width: 1280, height: 800 };
export const narrow = { width: 390, height: 844 };
const common = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream'];

export const launch = (...args) => playwright().chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: [...common, ...args],
});

export async function services() {
  const all = await Promise.all([chat(), tickets(), voice()]);
  return { stop: () => Promise.all(all.map((one) => one.stop())) };
}

// A tab that is ready, as a client of its own unless it opens in the `context` of another one. It keeps what the console
// complains about, its sockets, and (for the test alone) its RTCPeerConnections. `run`: what run.json says. `first`: one
// that has never been there before. `patience_ms`: how long the page waits for a service, when its 10 s are too long.
// `clock`: its time is the test's to move on.
export async function tab(browser, url, name, { viewport = wide, query = '', run = {}, first = false, patience_ms, clock = false, context, ...more } = {}) {
  context ??= await browser.newContext({ viewport, permissions: ['microphone'], ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.addInitScript(([own_name, introduced]) => {
    if (introduced) localStorage.setItem('foz-introduced', 'true');
    if (!sessionStorage.getItem('foz-name')) sessionStorage.setItem('foz-name', own_name);
    const Original = RTCPeerConnection;
    window.connections = [];
    window.RTCPeerConnection = class extends Original {
      constructor(...args) { super(...args); window.connections.push(this); }
    };
  }, [name, !first]);
  await page.route('**/run.json', (route) => route.fulfill({ json: run }));
  if (patience_ms) await page.route('**/link.js', async (route) => {
    const answer = await route.fetch();
    const text = await answer.text();
    assert.match(text, /patience_ms = 10_000/);
    await route.fulfill({ response: answer, body: text.replace('patience_ms = 10_000', 'patience_ms = ' + patience_ms) });
  });
  if (clock) await page.clock.install();
  page.problems = [];
  page.sockets = new Set();
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
  page.on('websocket', (socket) => {
    page.sockets.add(socket);
    socket.on('close', () => page.sockets.delete(socket));
  });
  await page.goto(url + '/' + query, { waitUntil: 'commit' });
  await entered(page, 'lobby');
  page.id = await page.locator('#client').textContent();
  return page;
}

export const online = (page) => page.locator('#state[data-state=online]').waitFor();
// The room's history is there as well.
export async function entered(page, room) {
  await online(page);
  await page.locator(`.note[data-room=${room}][data-complete]`).waitFor({ state: 'attached' });
}
export const message = (page, text) => page.locator('#messages .message', { hasText: text });
export async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}
export const texts = (page) => page.locator('#messages .message p').allTextContents();
export async function goTo(page, section) {
  await page.locator(`nav a[href="#${section}"]`).click();
  await page.locator('#' + section).waitFor(); // the event that shows it comes a little later
}
export const person = (page, other) => page.locator(`#callable button[value=${other.id}]`);
export const close = (...pages) => Promise.all(pages.map((page) => page.context().close()));
export const quiet = (...pages) => assert.deepEqual(pages.flatMap(({ problems }) => problems), []);

// A picture for people to look at; whatever it shows, only the sections scroll, never the page.
export async function shot(page, name) {
  await page.screenshot({ path: `${process.env.FOZ_OUT}/page-${name}.png` });
  const [width, height] = await page.evaluate(() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return [scrollWidth - innerWidth, scrollHeight - innerHeight];
  });
  assert.ok(width <= 0 && height <= 0, `${name}: the page is ${width} px too wide, ${height} px too high`);
}

// What the supervisor of ./run offers: its state, also as events, and orders, which are kept.
export async function fakePanel(processes) {
  const token = 'token-of-this-run';
  const orders = [];
  const listeners = new Set();
  const state = () => JSON.stringify({ processes });
  const tell = () => { for (const one of listeners) one.write(`data: ${state()}\n\n`); };
  const allowed = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'foz-panel-token, content-type' };
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://panel');
    const answer = (status, body = '') => response.writeHead(status, { ...allowed, 'content-type': 'application/json' }).end(body);
    if (request.method === 'OPTIONS') return answer(204);
    if ((request.headers['foz-panel-token'] ?? searchParams.get('token')) !== token) return answer(403);
    if (pathname === '/state') return answer(200, state());
    if (pathname === '/events') {
      response.writeHead(200, { ...allowed, 'content-type': 'text/event-stream' }).write(`data: ${state()}\n\n`);
      listeners.add(response);
      return request.on('close', () => listeners.delete(response));
    }
    let body = '';
    for await (const piece of request) body += piece;
    const order = JSON.parse(body);
    orders.push([pathname, order]);
    const one = processes.find(({ name }) => name === order.name);
    if (pathname === '/kill' && !one) return answer(404);
    if (pathname === '/kill' && one.state !== 'running') return answer(409);
    if (one) Object.assign(one, { state: 'down', restarts: one.restarts + 1 });
    answer(204);
    tell();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const run = { panel: 'http://127.0.0.1:' + server.address().port, token, lan_url: null };
  const close = () => { server.close(); server.closeAllConnections(); };
  return { run, orders, processes, tell, close };
}
