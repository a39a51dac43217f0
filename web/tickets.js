// The list of tickets, kept up to date by what the service tells everyone, and one ticket with all that can be done to it.
import { badge, byId, complaints, make } from './dom.js';

const number = (id) => Number(id.replace(/\D+/g, ''));
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export function startTickets(channel, people, onnews) {
  const tickets = new Map(); // id → ticket; those of the list come without comments
  const rows = new Map();    // id → the item of the list
  const wrong = complaints(byId('tickets-error'));
  const detail = byId('ticket');
  let open = null; // the id of the ticket that is looked at
  let filter = 'open';

  // An answer can be older than what was told meanwhile; but nothing opens a closed ticket again or removes a comment.
  function keep(ticket) {
    const known = tickets.get(ticket.id);
    const comments = (ticket.comments?.length ?? -1) >= (known?.comments?.length ?? -1) ? ticket.comments : known.comments;
    tickets.set(ticket.id, { ...ticket, comments, state: known?.state === 'closed' ? 'closed' : ticket.state });
  }

  const openerOf = (ticket) => (ticket.opened_by === people.client ? 'you' : ticket.name || people.nameOf(ticket.opened_by));

  // Items stay the same elements, so that the focus stays where it is.
  function showRow(ticket) {
    let row = rows.get(ticket.id);
    if (!row) {
      row = make('li', { className: 'ticket' }, make('button', { type: 'button', value: ticket.id }));
      rows.set(ticket.id, row);
    }
    row.dataset.state = ticket.state;
    const about = [ticket.assignee ? ticket.assignee + ' looks after it' : 'nobody looks after it yet', 'opened by ' + openerOf(ticket)];
    row.firstElementChild.replaceChildren(
      make('span', { className: 'id', text: ticket.id }),
      make('strong', { text: ticket.title }),
      make('span', { className: 'mark', text: ticket.state }),
      make('span', { className: 'about', text: about.join(' · ') }));
    return row;
  }

  function showList() {
    const wanted = [...tickets.values()].filter(({ state }) => filter === 'all' || state === filter)
      .sort((a, b) => number(b.id) - number(a.id));
    const list = byId('ticket-list');
    wanted.forEach((ticket, i) => {
      const row = showRow(ticket);
      if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
    });
    while (list.children.length > wanted.length) list.lastElementChild.remove();
    byId('no-tickets').hidden = wanted.length > 0;
    byId('no-tickets').textContent = filter === 'closed' ? 'No ticket has been closed yet.' : 'No ticket is open. All calm.';
  }

  function showComment({ by, name, text, at }) {
    const who = by === people.client ? 'You' : name || people.nameOf(by);
    return make('li', {}, badge(by, name || '?'), make('span', { className: 'who', text: who }),
      make('time', { dateTime: new Date(at).toISOString(), text: clock.format(at) }), make('p', { text }));
  }

  function showDetail() {
    const ticket = tickets.get(open);
    byId('tickets').classList.toggle('looking', ticket !== undefined);
    detail.hidden = ticket === undefined;
    if (!ticket) return;
    const closed = ticket.state === 'closed';
    detail.dataset.state = ticket.state;
    byId('ticket-id').textContent = ticket.id;
    byId('ticket-state').textContent = ticket.state;
    byId('ticket-title').textContent = ticket.title;
    byId('ticket-about').textContent = 'Opened by ' + openerOf(ticket) + '. ' +
      (ticket.assignee ? ticket.assignee + ' looks after it.' : 'Nobody looks after it yet.');
    const list = byId('comments');
    const comments = ticket.comments ?? [];
    for (const comment of comments.slice(list.children.length)) list.append(showComment(comment));
    byId('no-comments').hidden = comments.length > 0 || ticket.comments === undefined;
    for (const element of detail.querySelectorAll('form')) element.hidden = closed;
    byId('closed-note').hidden = !closed;
  }

  function show() {
    showList();
    showDetail();
  }

  // Asks the service; the answer to all that changes a ticket is the ticket. False: it was told what went wrong.
  async function ask(type, message) {
    wrong.clear();
    try {
      const { ticket } = await channel.ask(type, message);
      keep(ticket);
      show();
      return ticket;
    } catch (error) {
      wrong.show(error);
      return false;
    }
  }

  async function refresh() {
    try {
      const answer = await channel.ask('list', {});
      answer.tickets.forEach(keep);
      show();
      if (open) await ask('get', { id: open });
    } catch (error) {
      wrong.show(error);
    }
  }

  function look(id) {
    open = id;
    byId('comments').replaceChildren();
    byId('assignee').value = '';
    byId('comment').value = '';
    wrong.clear();
    showDetail();
    byId('ticket-title').focus();
    ask('get', { id });
  }

  function leave() {
    const row = rows.get(open);
    open = null;
    wrong.clear();
    showDetail();
    (row?.isConnected ? row.firstElementChild : byId('new-ticket')).focus();
  }

  const verbs = { opened: 'was opened', assigned: 'was assigned', commented: 'has a new comment', closed: 'was closed' };
  channel.onmessage = ({ type, message }) => {
    if (!verbs[type]) return;
    keep(message.ticket);
    show();
    if ((message.by ?? message.ticket.opened_by) === people.client) return;
    byId('news').textContent = `Ticket ${message.ticket.id}, ${message.ticket.title}, ${verbs[type]}.`;
    const row = rows.get(message.ticket.id);
    row?.classList.remove('fresh');
    requestAnimationFrame(() => row?.classList.add('fresh'));
    onnews();
  };
  channel.onready = refresh;
  channel.onerror = wrong.show;

  byId('ticket-list').addEventListener('click', ({ target }) => {
    const button = target.closest('button');
    if (button) look(button.value);
  });
  byId('ticket-back').addEventListener('click', leave);
  byId('filter').addEventListener('change', ({ target }) => { filter = target.value; showList(); });

  const form = byId('ticket-form');
  const unfold = (yes) => {
    form.hidden = !yes;
    byId('new-ticket').setAttribute('aria-expanded', String(yes));
    (yes ? byId('title') : byId('new-ticket')).focus();
  };
  byId('new-ticket').addEventListener('click', () => unfold(form.hidden));
  byId('ticket-cancel').addEventListener('click', () => unfold(false));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const text = byId('description').value.trim();
    const wish = { title: byId('title').value.trim(), name: people.name, ...(text && { text }) };
    if (!await ask('open', wish)) return;
    form.reset();
    unfold(false);
  });

  // The forms of the ticket that is looked at: what was typed stays until it has worked.
  const change = (id, type, message) => byId(id).addEventListener('submit', async (event) => {
    event.preventDefault();
    const done = await ask(type, { id: open, ...message() });
    if (done && done.id === open) event.target.reset();
  });
  change('assign-form', 'assign', () => ({ to: byId('assignee').value.trim() || people.name }));
  change('comment-form', 'comment', () => ({ text: byId('comment').value.trim(), name: people.name }));
  change('close-form', 'close', () => ({}));

  channel.hear([]);
}
