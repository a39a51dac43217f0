// Calls: who calls whom goes through the voice service, the sound goes straight between the two browsers (call.js).
import { Call, openMicrophone } from './call.js';
import { badge, byId, complaints, make } from './dom.js';
import { ending, microphoneTrouble } from './words.js';

const ring_ms_max = 45_000;

export function startVoice(channel, people, onbusy) {
  const wrong = complaints(byId('voice-error'));
  const player = byId('remote');
  const title = document.title;
  // The one call of this page: {phase, client, id, sound, timer}. Phases: asking (for the microphone), calling, ringing
  // (the other side calls), answering, connecting, talking, wavering.
  let call = null;

  const sentences = {
    asking: (who) => `The browser asks for your microphone, to call ${who}.`,
    calling: (who) => `Calling ${who}…`,
    ringing: (who) => `${who} is calling you.`,
    answering: (who) => `Answering ${who}…`,
    connecting: (who) => `${who} is there. Connecting the sound…`,
    talking: (who) => `You are talking with ${who}.`,
    wavering: (who) => `${who} can’t be heard at the moment. Waiting for the sound to come back…`,
  };

  function show() {
    const who = call && people.nameOf(call.client);
    const ringing = call?.phase === 'ringing';
    byId('voice').dataset.phase = call?.phase ?? 'idle';
    if (call) byId('call-state').textContent = sentences[call.phase](who);
    byId('call-badge').replaceChildren(...(call ? [badge(call.client, who)] : []));
    byId('hangup').hidden = !call || ringing;
    byId('mute').hidden = !['talking', 'wavering'].includes(call?.phase);
    byId('duration').hidden = !call?.since;
    byId('ringing').hidden = !ringing;
    if (ringing) byId('caller').textContent = sentences.ringing(who);
    document.title = ringing ? sentences.ringing(who) : title;
    for (const button of document.querySelectorAll('[data-call]')) button.disabled = call !== null;
    onbusy(call !== null);
  }

  function become(phase) {
    call.phase = phase;
    show();
  }

  // The call is over, whoever wanted it so; `words` tell why.
  function end(words) {
    if (!call) return;
    clearTimeout(call.timer);
    call.sound?.close();
    call.microphone?.getTracks().forEach((track) => track.stop());
    player.srcObject = null;
    byId('mute').setAttribute('aria-pressed', 'false');
    call = null;
    byId('call-state').textContent = words;
    show();
  }

  // Tells the service as well; it is not asked again whether it heard: the other side notices the end of the sound.
  function hangup(words) {
    if (call?.id) channel.tell('hangup', { call: call.id });
    end(words);
  }

  async function microphoneFor(mine) {
    try {
      mine.microphone = await openMicrophone();
    } catch (error) {
      if (call === mine) wrong.show(new Error(microphoneTrouble(error)));
      return false;
    }
    if (call === mine) return true;
    mine.microphone.getTracks().forEach((track) => track.stop()); // it was hung up meanwhile
    return false;
  }

  function connect(mine) {
    mine.sound = new Call({
      microphone: mine.microphone, player,
      send: (data) => channel.tell('signal', { call: mine.id, data }),
    });
    mine.sound.onconnected = () => { mine.since ??= Date.now(); become('talking'); };
    mine.sound.onwavering = () => become('wavering');
    mine.sound.onlost = () => hangup(ending('failed', people.nameOf(mine.client)));
  }

  async function ring(client) {
    wrong.clear();
    if (call) return;
    if (client === people.client) return wrong.show(new Error('This is your own id. Give it to someone who wants to call you.'));
    const mine = call = { phase: 'asking', client };
    show();
    if (!await microphoneFor(mine)) return call === mine && end('You are in no call.');
    become('calling');
    mine.timer = setTimeout(() => hangup(ending('unanswered', people.nameOf(client))), ring_ms_max);
    try {
      const answer = await channel.ask('ring', { to: client, name: people.name });
      mine.id = answer.call;
      if (call !== mine) channel.tell('hangup', { call: mine.id }); // given up before the service had answered
    } catch (error) {
      if (call !== mine) return;
      wrong.show(error);
      end('You are in no call.');
    }
  }

  async function answer() {
    wrong.clear();
    const mine = call;
    if (mine?.phase !== 'ringing') return;
    become('answering');
    if (!await microphoneFor(mine)) return call === mine && become('ringing');
    connect(mine);
    try {
      await channel.ask('answer', { call: mine.id });
      if (call === mine && mine.phase === 'answering') become('connecting');
    } catch (error) {
      if (call !== mine) return;
      wrong.show(error);
      end('You are in no call.');
    }
  }

  const heard = {
    ringing({ call: id, from, name }) {
      if (call) return; // the service lets nobody ring here while we are in a call; this one crossed our own ring
      people.meet(from, name);
      wrong.clear();
      call = { phase: 'ringing', client: from, id };
      show();
    },
    answered() {
      if (call.phase !== 'calling') return;
      clearTimeout(call.timer);
      become('connecting');
      connect(call);
      call.sound.offer().catch(call.sound.onlost);
    },
    signal({ data }) { call.sound?.take(data); },
    ended({ reason }) { end(ending(reason, people.nameOf(call.client))); },
  };
  channel.onmessage = ({ type, message }) => {
    if (heard[type] && (type === 'ringing' || call?.id === message.call)) heard[type](message);
  };

  // Back after an interruption: the sound may go on all the while, but the service may have ended the call.
  channel.onready = async () => {
    const mine = call;
    if (!mine?.id) return;
    try {
      await channel.ask('signal', { call: mine.id, data: {} });
    } catch (error) {
      if (call === mine && ['no_such_call', 'not_your_call'].includes(error.code))
        end('The connection was lost for a moment, and the call has ended.');
    }
  };
  channel.onerror = wrong.show;

  function showPeople() {
    const focused = document.activeElement?.closest('#callable button')?.value;
    const items = people.others.map(({ client, name, distinct, earlier }) => {
      const button = make('button', { type: 'button', value: client, text: 'Call', disabled: call !== null });
      button.dataset.call = '';
      button.setAttribute('aria-label', 'Call ' + distinct);
      return make('li', {}, badge(client, name), make('span', { className: 'who', text: name }),
        make('span', { className: 'about', text: earlier ? 'wrote earlier' : '…' + client.slice(-6) }), button);
    });
    byId('callable').replaceChildren(...items);
    if (focused) items.find((item) => item.lastElementChild.value === focused)?.lastElementChild.focus();
    byId('nobody').hidden = items.length > 0;
  }

  people.addEventListener('change', showPeople);
  byId('callable').addEventListener('click', ({ target }) => { if (target.value) ring(target.value); });
  byId('call-form').addEventListener('submit', (event) => {
    event.preventDefault();
    ring(byId('callee').value.trim());
  });
  byId('answer').addEventListener('click', answer);
  byId('decline').addEventListener('click', () => hangup('You have declined the call.'));
  byId('hangup').addEventListener('click', () => hangup('You have hung up.'));
  byId('mute').addEventListener('click', ({ target }) => {
    const muted = target.getAttribute('aria-pressed') !== 'true';
    target.setAttribute('aria-pressed', String(muted));
    if (call?.sound) call.sound.muted = muted;
  });
  // Sent while the socket still stands, so that the other side need not wait for it to be missed.
  addEventListener('pagehide', () => hangup('You have left the page.'));

  setInterval(() => {
    if (!call?.since) return;
    const seconds = Math.floor((Date.now() - call.since) / 1000);
    byId('duration').textContent = Math.floor(seconds / 60) + ':' + String(seconds % 60).padStart(2, '0');
    byId('level').value = call.sound.level;
  }, 250);

  showPeople();
  show();
  channel.hear([]);
}
