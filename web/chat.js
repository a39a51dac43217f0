// Rooms, what was said in them lately, and whispering to one person.
import { badge, byId, complaints, make } from './dom.js';

const shown_max = 500;
const history_max = 50;
const key = ({ from, name, text }) => JSON.stringify([from, name, text]);

// How many of the last of `a` are the first of `b`: messages carry no number, so two lists that may overlap are joined
// where they agree most.
function overlap(a, b) {
  for (let n = Math.min(a.length, b.length); n > 0; n -= 1)
    if (b.slice(0, n).every((item, i) => item === a[a.length - n + i])) return n;
  return 0;
}

export function startChat(channel, people, onnews) {
  const list = byId('messages');
  const wrong = complaints(byId('chat-error'));
  let room = sessionStorage.getItem('foz-room') || 'lobby';
  // Keys of what is shown: before the line that says that one is in the room, and after it.
  let before = [];
  let since = [];
  let line = null;
  let entered = 0;
  let following = true; // the end of the list is looked at, and shall be

  const toEnd = () => { if (following) list.scrollTop = list.scrollHeight; };
  list.addEventListener('scroll', () => { following = list.scrollHeight - list.scrollTop - list.clientHeight < 60; });
  new ResizeObserver(toEnd).observe(list);

  function place(item, ahead = null) {
    list.insertBefore(item, ahead);
    const above = item.previousElementSibling;
    item.classList.toggle('more', above?.dataset.from !== undefined && above.dataset.from === item.dataset.from);
    while (list.children.length > shown_max) list.firstElementChild.remove();
    following ||= item.classList.contains('mine');
    toEnd();
  }

  function bubble({ from, name, text }, { who = name || people.nameOf(from), direct = false } = {}) {
    const item = make('li', { className: 'message' });
    item.classList.toggle('mine', from === people.client);
    item.classList.toggle('direct', direct);
    item.dataset.from = who + ' ' + from; // several in a row show the name once
    item.append(badge(from, name || '?'), make('span', { className: 'who', text: who }), make('p', { text }));
    return item;
  }

  function said(message) {
    people.meet(message.from, message.name);
    since.push(key(message));
    place(bubble(message));
    if (message.from !== people.client) onnews();
  }

  function whispered(message) {
    people.meet(message.from, message.name);
    place(bubble(message, { who: (message.name || people.nameOf(message.from)) + ', only to you', direct: true }));
    onnews();
  }

  // What was said before one came, or while the connection was lost, goes ahead of the line; messages that come
  // meanwhile are shown at once, after it.
  async function enter() {
    const turn = entered += 1;
    const again = line !== null;
    before.push(...since.splice(0));
    line = make('li', { className: 'note', text: again ? 'Connected again.' : `You are in the room “${room}”.` });
    line.dataset.room = room;
    place(line);
    try {
      const { messages } = await channel.ask('history', { room, limit: history_max });
      if (turn !== entered) return;
      const keys = messages.map(key);
      const known = overlap(before, keys);
      const end = keys.length - overlap(keys.slice(known), since);
      for (const message of messages.slice(known, end)) {
        people.meet(message.from, message.name, { earlier: true });
        place(bubble(message), line);
      }
      before.push(...keys.slice(known, end));
      line.dataset.complete = 'true';
    } catch (error) {
      if (turn === entered) wrong.show(error);
    }
  }

  function change(name) {
    if (name === room) return;
    room = name;
    sessionStorage.setItem('foz-room', room);
    list.replaceChildren();
    before = [];
    since = [];
    line = null;
    entered += 1; // an answer about the room before is no longer wanted
    wrong.clear();
    markRoom();
    channel.hear(['room.' + room]);
  }

  function markRoom() {
    const known = [...byId('rooms').querySelectorAll('button')];
    if (!known.some((button) => button.value === room)) {
      const added = make('button', { type: 'button', value: room, text: room });
      byId('rooms').append(added);
      known.push(added);
    }
    for (const button of known) button.setAttribute('aria-pressed', String(button.value === room));
    byId('chat-room').textContent = room;
  }

  channel.onmessage = ({ type, message }) => {
    if (type === 'said' && message.room === room) said(message);
    else if (type === 'whispered') whispered(message);
  };
  channel.onready = enter;
  channel.onerror = wrong.show;

  byId('rooms').addEventListener('click', ({ target }) => { if (target.value) change(target.value); });
  byId('room-form').addEventListener('submit', (event) => {
    event.preventDefault();
    change(byId('room').value);
    byId('room').value = '';
  });

  people.addEventListener('change', () => {
    const to = byId('to');
    const chosen = to.value;
    const options = people.others.map(({ client, distinct }) => make('option', { value: client, text: 'only ' + distinct }));
    to.replaceChildren(to.options[0], ...options);
    to.value = chosen;
  });
  byId('to').addEventListener('change', ({ target }) => target.closest('form').classList.toggle('direct', target.value !== ''));

  byId('say').addEventListener('submit', async (event) => {
    event.preventDefault();
    const text = byId('text').value.trim();
    const to = byId('to').value;
    if (!text) return;
    wrong.clear();
    byId('text').value = '';
    try {
      await channel.ask(...(to ? ['whisper', { to, text, name: people.name }] : ['say', { room, text, name: people.name }]));
      if (to) place(bubble({ from: people.client, name: people.name, text }, { who: 'You, only to ' + people.nameOf(to), direct: true }));
    } catch (error) {
      wrong.show(error);
      if (!byId('text').value) byId('text').value = text; // nothing that was typed is lost
    }
  });

  markRoom();
  channel.hear(['room.' + room]);
}
