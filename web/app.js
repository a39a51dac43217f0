// Chat, tickets, a guide and voice on one page: puts the sections together and shows how the connection is doing.
import { Audit } from './audit.js';
import { Chat } from './chat.js';
import { byId, make, setText } from './dom.js';
import { Guide } from './guide.js';
import { watchForCopies } from './identity.js';
import { introduce } from './intro.js';
import { Link } from './link.js';
import { Panel } from './panel.js';
import { People } from './people.js';
import { River } from './river.js';
import { Tickets } from './tickets.js';
import { Voice } from './voice.js';

const link = new Link(['chat', 'tickets', 'guide', 'voice']);
const people = new People(link.channel('voice'));

// The connection, in words.

// From good to bad.
const words = {
  online: 'Connected',
  connecting: 'Connecting…',
  lost: 'Connection lost, trying again…',
  offline: 'This device is offline',
  refused: 'The server refuses this page',
};
const gravity = ({ state }) => Object.keys(words).indexOf(state);

link.on('state', (sockets) => {
  const worst = sockets.reduce((a, b) => (gravity(b) > gravity(a) ? b : a));
  byId('state').dataset.state = worst.state;
  setText(byId('state'), words[worst.state]);
  if (worst.state === 'online') byId('page-error').hidden = true;
  byId('sockets').replaceChildren(...sockets.map(({ channels, state }) => {
    const item = make('li', { text: channels.join(' · ') });
    item.dataset.state = state;
    item.append(make('span', { className: 'unseen', text: ': ' + words[state] }));
    return item;
  }));
});
link.on('welcome', ({ client }) => {
  people.client = client;
  byId('client').textContent = client;
  byId('copy').disabled = false;
});
link.on('error', (problem) => {
  byId('page-error').textContent = problem.message;
  byId('page-error').hidden = false;
});

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

// One section at a time where there is no room for more; otherwise three of them, of which two have a deputy.

const columns = { chat: 'left', tickets: 'middle', guide: 'middle', voice: 'right', panel: 'right' };
const offered = new Set(['chat', 'tickets', 'voice']);
const tabs = [...document.querySelectorAll('nav a')];
function showSection() {
  const { dataset } = document.body;
  const asked = location.hash.slice(1);
  const wanted = offered.has(asked) ? asked : 'chat';
  dataset.section = wanted;
  dataset[columns[wanted]] = wanted;
  for (const tab of tabs) {
    tab.classList.toggle('beside', Object.values(dataset).includes(tab.hash.slice(1)));
    if (tab.hash === '#' + wanted) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  tellNews(wanted, false);
}
// A guide and a panel there are only sometimes.
function offer(section) {
  offered.add(section);
  document.body.toggleAttribute('data-' + section, true);
  showSection();
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

// What ./run tells about itself; there is none when the page is served by something else.
async function readRun() {
  try {
    const answer = await fetch('run.json', { cache: 'no-store' });
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

watchForCopies();
new River(link, ({ id }) => people.client !== '' && id?.startsWith(people.client + '/'));
new Chat(link.channel('chat'), people, newsOf('chat'));
new Tickets(link.channel('tickets'), people, newsOf('tickets'));
new Guide(link.channel('guide'), () => offer('guide'));
new Voice(link.channel('voice'), people, onBusy);
showSection();
showSeparate();
link.open(separate.checked);

readRun().then((run) => {
  introduce(run.lan_url);
  if (run.panel) new Panel(run, () => {
    offer('panel');
    new Audit(link.channel('chat'), people);
  });
});
