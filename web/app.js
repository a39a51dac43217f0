// Chat, tickets and voice on one page: puts the sections together and shows how the connection is doing.
import { Chat } from './chat.js';
import { byId, make } from './dom.js';
import { Link } from './link.js';
import { People, resumeSecret } from './people.js';
import { Tickets } from './tickets.js';
import { Voice } from './voice.js';

const services = ['chat', 'tickets', 'voice'];
const people = new People();
const link = new Link(services, resumeSecret());

// The connection, in words.

// From good to bad.
const words = {
  online: 'Connected',
  connecting: 'Connecting…',
  lost: 'Connection lost, trying again…',
  offline: 'This device is offline',
};
const gravity = ({ state }) => Object.keys(words).indexOf(state);

link.onstate = (sockets) => {
  const worst = sockets.reduce((a, b) => (gravity(b) > gravity(a) ? b : a));
  const shown = byId('state');
  shown.dataset.state = worst.state;
  if (shown.textContent !== words[worst.state]) shown.textContent = words[worst.state]; // it is read aloud at every change
  byId('sockets').replaceChildren(...sockets.map(({ channels, state }) => {
    const item = make('li', { text: channels.join(' · ') });
    item.dataset.state = state;
    item.append(make('span', { className: 'unseen', text: ': ' + words[state] }));
    return item;
  }));
};
link.onwelcome = ({ client }) => {
  people.client = client;
  byId('client').textContent = client;
  byId('copy').disabled = false;
};
link.onerror = (error) => {
  byId('page-error').textContent = error.message;
  byId('page-error').hidden = false;
};

// One socket for all, or one for each.

const separate = byId('separate');
separate.checked = new URLSearchParams(location.search).get('sockets') === 'each';
const showSeparate = () => { document.body.dataset.sockets = separate.checked ? 'each' : 'one'; };
separate.addEventListener('change', () => {
  const url = new URL(location);
  if (separate.checked) url.searchParams.set('sockets', 'each');
  else url.searchParams.delete('sockets');
  history.replaceState(null, '', url);
  showSeparate();
  link.open(separate.checked);
});

// A call belongs to the socket that it was made on.
function onBusy(busy) {
  separate.disabled = busy;
  byId('separate-why').hidden = !busy;
}

// One section at a time where there is no room for more.

const tabs = [...document.querySelectorAll('nav a')];
function showSection() {
  const wanted = services.includes(location.hash.slice(1)) ? location.hash.slice(1) : 'chat';
  document.body.dataset.section = wanted;
  for (const tab of tabs) {
    if (tab.hash === '#' + wanted) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  tellNews(wanted, false);
}
function tellNews(section, yes) {
  const tab = tabs.find(({ hash }) => hash === '#' + section);
  tab.classList.toggle('news', yes);
  tab.querySelector('.unseen').textContent = yes ? ', new' : '';
}
const newsOf = (section) => () => { if (document.body.dataset.section !== section) tellNews(section, true); };
addEventListener('hashchange', showSection);

byId('name').value = people.name;
byId('name').addEventListener('change', ({ target }) => { people.name = target.value; target.value = people.name; });
byId('copy').addEventListener('click', async ({ target }) => {
  try {
    await navigator.clipboard.writeText(people.client);
    target.textContent = 'Copied';
  } catch { // browsers allow it only to pages on https or on this computer itself
    getSelection().selectAllChildren(byId('client'));
  }
});
byId('answer').addEventListener('click', () => { location.hash = 'voice'; });

new Chat(link.channel('chat'), people, newsOf('chat'));
new Tickets(link.channel('tickets'), people, newsOf('tickets'));
new Voice(link.channel('voice'), people, onBusy);
showSection();
showSeparate();
link.open(separate.checked);
