// Calls: who calls whom goes through the voice service, the sound goes straight between the two browsers (call.js).
import { Call, openMicrophone } from './call.js';
import { badge, byId, complaints, make } from './dom.js';
import { ending, microphoneTrouble } from './words.js';

const ring_ms_max = 45_000;
const no_call = 'You are in no call.';

const sentences = {
  asking: (who) => `The browser asks for your microphone, to call ${who}.`,
  calling: (who) => `Calling ${who}…`,
  ringing: (who) => `${who} is calling you.`,
  answering: (who) => `Answering ${who}…`,
  connecting: (who) => `${who} is there. Connecting the sound…`,
  talking: (who) => `You are talking with ${who}.`,
  wavering: (who) => `${who} can’t be heard at the moment. Waiting for the sound to come back…`,
};

export class Voice {
  #channel;
  #people;
  #onbusy;
  #wrong = complaints(byId('voice-error'));
  #title = document.title;
  // The one call of this page: {phase, client, id, microphone, sound, since, timer}. Phases: asking (for the
  // microphone), calling, ringing (the other side calls), answering, connecting, talking, wavering. Whoever waits for
  // something keeps the call and looks afterwards whether it is still this one.
  #call = null;

  constructor(channel, people, onbusy) {
    this.#channel = channel;
    this.#people = people;
    this.#onbusy = onbusy;
    channel.on('message', ({ type, message }) => this.#hear(type, message));
    channel.on('state', () => { if (channel.online) this.#askWhetherItStands(); });
    channel.on('error', this.#wrong.show);
    people.addEventListener('change', () => this.#showPeople());
    this.#listen();
    setInterval(() => this.#showProgress(), 250);
    this.#showPeople();
    this.#show();
    channel.hear([]);
  }

  #listen() {
    byId('callable').addEventListener('click', ({ target }) => { if (target.value) this.#ring(target.value); });
    byId('call-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#ring(byId('callee').value.trim());
    });
    byId('answer').addEventListener('click', () => this.#answer());
    byId('decline').addEventListener('click', () => this.#hangup('You have declined the call.'));
    byId('hangup').addEventListener('click', () => this.#hangup('You have hung up.'));
    byId('mute').addEventListener('click', ({ target }) => {
      const muted = target.getAttribute('aria-pressed') !== 'true';
      target.setAttribute('aria-pressed', String(muted));
      if (this.#call?.sound) this.#call.sound.muted = muted;
    });
    // Sent while the socket still stands, so that the other side need not wait for it to be missed.
    addEventListener('pagehide', () => this.#hangup('You have left the page.'));
  }

  #hear(type, message) {
    if (type === 'ringing') return this.#ringing(message);
    const call = this.#call;
    if (!call?.id || call.id !== message.call) return;
    if (type === 'answered' && call.phase === 'calling') this.#answered(call);
    else if (type === 'signal') call.sound?.take(message.data);
    else if (type === 'ended') this.#end(ending(message.reason, this.#people.nameOf(call.client)));
  }

  // One calls.
  async #ring(client) {
    this.#wrong.clear();
    if (this.#call) return;
    if (client === this.#people.client)
      return this.#wrong.show(new Error('This is your own id. Give it to someone who wants to call you.'));
    const call = this.#call = { phase: 'asking', client };
    this.#show();
    if (!await this.#openMicrophone(call)) return this.#call === call && this.#end(no_call);
    this.#become(call, 'calling');
    call.timer = setTimeout(() => this.#hangup(ending('unanswered', this.#people.nameOf(client))), ring_ms_max);
    try {
      call.id = (await this.#channel.request('ring', { to: client, name: this.#people.name })).call;
      if (this.#call !== call) this.#channel.tell('hangup', { call: call.id }); // given up before the answer came
    } catch (error) {
      this.#fail(call, error);
    }
  }

  #answered(call) {
    clearTimeout(call.timer);
    this.#become(call, 'connecting');
    this.#connect(call);
    call.sound.offer().catch(() => call.sound.onlost());
  }

  // One is called.
  #ringing({ call: id, from, name }) {
    if (this.#call) return; // the service lets nobody ring here while we are in a call; this one crossed our own ring
    this.#people.note(from, name);
    this.#wrong.clear();
    this.#call = { phase: 'ringing', client: from, id };
    this.#show();
  }

  async #answer() {
    this.#wrong.clear();
    const call = this.#call;
    if (call?.phase !== 'ringing') return;
    this.#become(call, 'answering');
    if (!await this.#openMicrophone(call)) return this.#call === call && this.#become(call, 'ringing');
    this.#connect(call);
    try {
      await this.#channel.request('answer', { call: call.id });
      if (this.#call === call && call.phase === 'answering') this.#become(call, 'connecting');
    } catch (error) {
      this.#fail(call, error);
    }
  }

  // False: there is none, or the call is over.
  async #openMicrophone(call) {
    try {
      call.microphone = await openMicrophone();
    } catch (error) {
      if (this.#call === call) this.#wrong.show(new Error(microphoneTrouble(error)));
      return false;
    }
    if (this.#call === call) return true;
    call.microphone.getTracks().forEach((track) => track.stop());
    return false;
  }

  #connect(call) {
    call.sound = new Call({
      microphone: call.microphone,
      player: byId('remote'),
      send: (data) => this.#channel.tell('signal', { call: call.id, data }),
    });
    call.sound.onconnected = () => {
      call.since ??= Date.now();
      this.#become(call, 'talking');
    };
    call.sound.onwavering = () => this.#become(call, 'wavering');
    call.sound.onlost = () => this.#hangup(ending('failed', this.#people.nameOf(call.client)));
  }

  // Back after an interruption: the sound may go on all the while, but the service may have ended the call.
  async #askWhetherItStands() {
    const call = this.#call;
    if (!call?.id) return;
    try {
      await this.#channel.request('signal', { call: call.id, data: {} });
    } catch (error) {
      if (this.#call === call && ['no_such_call', 'not_your_call'].includes(error.code))
        this.#end('The connection was lost for a moment, and the call has ended.');
    }
  }

  #become(call, phase) {
    call.phase = phase;
    this.#show();
  }

  // Tells the service as well. Whether it heard is not asked: the other side also notices the end of the sound.
  #hangup(words) {
    if (this.#call?.id) this.#channel.tell('hangup', { call: this.#call.id });
    this.#end(words);
  }

  #fail(call, error) {
    if (this.#call !== call) return;
    this.#wrong.show(error);
    this.#end(no_call);
  }

  // The call is over, whoever wanted it so; `words` tell why.
  #end(words) {
    const call = this.#call;
    if (!call) return;
    clearTimeout(call.timer);
    call.sound?.close();
    call.microphone?.getTracks().forEach((track) => track.stop());
    byId('remote').srcObject = null;
    byId('mute').setAttribute('aria-pressed', 'false');
    this.#call = null;
    byId('call-state').textContent = words;
    this.#show();
  }

  #show() {
    const call = this.#call;
    const who = call && this.#people.nameOf(call.client);
    const ringing = call?.phase === 'ringing';
    byId('voice').dataset.phase = call?.phase ?? 'idle';
    if (call) byId('call-state').textContent = sentences[call.phase](who);
    byId('call-badge').replaceChildren(...(call ? [badge(call.client, who)] : []));
    byId('hangup').hidden = !call || ringing;
    byId('mute').hidden = !['talking', 'wavering'].includes(call?.phase);
    byId('duration').hidden = !call?.since;
    byId('ringing').hidden = !ringing;
    if (ringing) byId('caller').textContent = sentences.ringing(who);
    document.title = ringing ? sentences.ringing(who) : this.#title;
    for (const button of document.querySelectorAll('[data-call]')) button.disabled = call !== null;
    this.#onbusy(call !== null);
    this.#showProgress();
  }

  #showProgress() {
    if (!this.#call?.since) return;
    const seconds = Math.floor((Date.now() - this.#call.since) / 1000);
    byId('duration').textContent = Math.floor(seconds / 60) + ':' + String(seconds % 60).padStart(2, '0');
    byId('level').value = this.#call.sound.level;
  }

  #showPeople() {
    const focused = document.activeElement?.closest('#callable button')?.value;
    const items = this.#people.others.map((person) => this.#personItem(person));
    byId('callable').replaceChildren(...items);
    if (focused) items.find((item) => item.lastElementChild.value === focused)?.lastElementChild.focus();
    byId('nobody').hidden = items.length > 0;
  }

  #personItem({ client, name, distinct }) {
    const button = make('button', { type: 'button', value: client, text: 'Call', disabled: this.#call !== null });
    button.dataset.call = '';
    button.setAttribute('aria-label', 'Call ' + distinct);
    return make('li', {}, badge(client, name), make('span', { className: 'who', text: name }),
      make('span', { className: 'about', text: '…' + client.slice(-6) }), button);
  }
}
