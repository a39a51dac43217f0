// A chat between tabs, over the unmodified Primus client with primus-responder.
'use strict';

const byId = (id) => document.getElementById(id);

// Each tab is a client of its own: a secret of 128 bits that lives as long as the tab. The aggregator derives the
// client's id from it.
function secret() {
  let kept = sessionStorage.getItem('foz-resume');
  if (!kept) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    kept = btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
    sessionStorage.setItem('foz-resume', kept);
  }
  return kept;
}

byId('name').value = sessionStorage.getItem('foz-name') || 'guest ' + Math.floor(100 + Math.random() * 900);

const primus = new Primus(location.origin, {
  reconnect: { min: 200, max: 3000, retries: Infinity },
});
// Asked at every connect: the room may have changed meanwhile.
primus.on('outgoing::url', (url) => { url.query += '&hello=1&resume=' + secret(); });

let me = '';
const people = new Map(); // client id → name

const frame = (type, message) => ({ packet_action: 'publish', channel: 'chat', type, message });
const topic = () => 'room.' + byId('room').value;

// The answer to a request, or an Error that says in words what went wrong.
function ask(data) {
  return new Promise((resolve, reject) => {
    primus.writeAndWait(data, (reply) => {
      if (reply.event !== 'error') return resolve(reply);
      const { message, service } = reply.error;
      reject(new Error((service && service.message) || message));
    });
  });
}

function show(text, { who = '', classes = '' } = {}) {
  const item = document.createElement('li');
  item.className = classes;
  if (who) {
    const name = document.createElement('span');
    name.className = 'who';
    name.textContent = who;
    item.append(name);
  }
  item.append(text);
  byId('messages').append(item);
  item.scrollIntoView({ block: 'end' });
}

function state(name) {
  byId('state').dataset.state = name;
  byId('state').textContent = name;
}

function fail(error) {
  byId('error').textContent = error.message;
  byId('error').hidden = false;
}

function remember(client, name) {
  if (client === me || people.get(client) === name) return;
  const known = people.has(client);
  people.set(client, name);
  const option = known ? byId('to').querySelector(`[value="${CSS.escape(client)}"]`) : document.createElement('option');
  option.value = client;
  option.textContent = 'only ' + name;
  if (!known) byId('to').append(option);
}

// Everything addressed to us, and of what is for everyone the messages of our room.
function enter() {
  ask({ packet_action: 'consume', channel: 'chat', consume_target: [topic()] })
    .then(() => show('You are in ' + byId('room').value + '.', { classes: 'note' }))
    .catch(fail);
}

primus.on('open', () => { state('online'); enter(); });
primus.on('offline', () => state('offline'));
primus.on('reconnect scheduled', () => state('reconnecting'));
primus.on('end', () => state('offline'));
primus.on('data', (data) => {
  if (data.event === 'welcome') {
    me = data.client;
    byId('client').textContent = me;
  } else if (data.event === 'message') {
    const { from, name, text } = data.message;
    remember(from, name);
    const direct = data.via === 'direct';
    show(text, { who: direct ? name + ' (only to you)' : name, classes: (from === me ? 'mine ' : '') + (direct ? 'direct' : '') });
  } else if (data.event === 'error') {
    fail(new Error(data.error.message));
  }
});

let room = topic();
byId('room').addEventListener('change', () => {
  if (topic() === room || !byId('room').reportValidity()) return;
  primus.write({ packet_action: 'leave', channel: 'chat' });
  room = topic();
  enter();
});
byId('name').addEventListener('change', () => sessionStorage.setItem('foz-name', byId('name').value));

byId('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('text').value.trim();
  if (!text) return;
  const name = byId('name').value.trim() || 'guest';
  const to = byId('to').value;
  byId('error').hidden = true;
  ask(to ? frame('whisper', { to, text, name }) : frame('say', { room: byId('room').value, text, name }))
    .then(() => {
      byId('text').value = '';
      if (to) show(text, { who: 'you, only to ' + people.get(to), classes: 'mine direct' });
    })
    .catch(fail);
});
