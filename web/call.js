// The sound of one call: an RTCPeerConnection whose descriptions and candidates travel through the voice service.

// Both sides find each other in one network, or on one machine. Across the internet a STUN or TURN server of one's own
// belongs here: [{ urls: 'turn:…', username, credential }].
const ice_servers = [];

const end_grace_ms = 2000;

export async function openMicrophone() {
  if (!navigator.mediaDevices) throw new DOMException('', 'InsecureContext');
  return navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
}

export class Call {
  onconnected = () => {};
  onwavering = () => {};  // nothing is heard at the moment; it may come back
  onlost = () => {};      // for good
  #connection = new RTCPeerConnection({ iceServers: ice_servers });
  #microphone;
  #send;
  #taken = Promise.resolve(); // signals are taken one after the other
  #early = [];                // candidates that came before the description they belong to

  // send: passes JSON to the other side. player: an <audio>.
  constructor({ microphone, send, player }) {
    this.#microphone = microphone;
    this.#send = send;
    for (const track of microphone.getTracks()) this.#connection.addTrack(track, microphone);
    this.#connection.onicecandidate = ({ candidate }) => { if (candidate) send({ candidate: candidate.toJSON() }); };
    this.#connection.ontrack = ({ streams: [stream] }) => {
      player.srcObject = stream;
      player.play().catch(() => {}); // a click has begun this call, so a browser has no reason to refuse
    };
    this.#connection.onconnectionstatechange = () => {
      const state = this.#connection.connectionState;
      if (state === 'connected') this.onconnected();
      if (state === 'disconnected') this.onwavering();
      if (state === 'failed') this.onlost();
    };
    // Its only use is to close: so the end is noticed although the other side's socket may be lost. Usually the service
    // tells a moment later why; that is worth waiting for.
    const line = this.#connection.createDataChannel('line', { negotiated: true, id: 0 });
    line.onclose = () => setTimeout(() => this.onlost(), end_grace_ms);
  }

  async offer() {
    await this.#connection.setLocalDescription();
    this.#send({ description: this.#connection.localDescription.toJSON() });
  }

  // What the other side has sent.
  take(data) {
    this.#taken = this.#taken.then(() => this.#apply(data)).catch(() => this.onlost());
  }

  async #apply({ description, candidate }) {
    const connection = this.#connection;
    if (connection.signalingState === 'closed') return;
    if (candidate) {
      if (connection.remoteDescription) await connection.addIceCandidate(candidate);
      else this.#early.push(candidate);
    }
    if (!description) return;
    await connection.setRemoteDescription(description);
    for (const early of this.#early.splice(0)) await connection.addIceCandidate(early);
    if (description.type !== 'offer') return;
    await connection.setLocalDescription();
    this.#send({ description: connection.localDescription.toJSON() });
  }

  set muted(yes) { for (const track of this.#microphone.getAudioTracks()) track.enabled = !yes; }

  // How loud the other side is, 0 to 1.
  get level() {
    const [receiver] = this.#connection.getReceivers();
    return receiver?.getSynchronizationSources()[0]?.audioLevel ?? 0;
  }

  close() {
    this.onconnected = this.onwavering = this.onlost = () => {};
    for (const track of this.#microphone.getTracks()) track.stop();
    this.#connection.close();
  }
}
