// What the Foz plugin adds to a Primus client: `primus.foz`. The library with it is served at /primus/foz.js.
import type { FozErrorCode } from './codes';

export interface FozOptions {
  /** Who this client is: 22 to 64 characters of A-Z a-z 0-9 - _. `false`: whoever the cookie says (a page of the
   * aggregator's own origin, where it is the default). Otherwise a new secret, kept in `storage`. */
  resume?: string | false;
  /** A JWT, or what gives one: called before each connection, and when the one in force is about to end. */
  token?: string | (() => string | Promise<string>);
  /** localStorage, sessionStorage, or an asynchronous store: what outlives the page. None by default. */
  storage?: SyncStorage | AsyncStorage | null;
  /** What the storage keeps; the secret and the outbox by default. */
  keep?: {
    /** The secret that says who this client is. */
    resume?: boolean;
    /** Messages without a receipt or an answer: the next page of this client sends them, under the same ids. */
    outbox?: boolean;
    /** How far each channel was heard: the next page goes on from there, unless its `consume` says `from`. */
    positions?: boolean;
  };
  /** Messages that may wait for their receipt or answer; 1,000. */
  outboxMessages?: number;
  /** The same in characters of JSON; 8 Mi. */
  outboxBytes?: number;
  /** Parts of one `stream` that may wait to be read; 10,000. A request with more is cancelled. */
  partsMax?: number;
}

/** localStorage and sessionStorage are such. */
export interface SyncStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** For example on top of IndexedDB. */
export interface AsyncStorage {
  keys(): Promise<Iterable<string>>;
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<unknown>;
  removeItem(key: string): Promise<unknown>;
}

export type Position = string;
export type From = Position | 'first' | 'now' | { since_ms: number };

export interface Distribution { broadcast?: boolean; multicast?: string[]; direct?: string[] }

export interface ConsumeOptions {
  /** AMQP patterns; all topics unless said. */
  topics?: string[];
  distribution?: Distribution;
  /** Where to begin at the first time; later the plugin goes on where it was. */
  from?: From;
}

export interface PublishOptions {
  /** Names the message; one is made unless said. */
  id?: string;
  type?: string;
  topic?: string;
  distribution?: Distribution;
  expires_ms?: number;
  fail_fast?: boolean;
  onProgress?: (event: ProgressEvent) => void;
}

export interface RequestOptions extends PublishOptions {
  /** How long to wait for the answer once the aggregator has the request; 30 s unless said. */
  timeout_ms?: number;
  /** Cancels the request when it is aborted. */
  signal?: AbortSignal;
  /** Called for each part of an answer that comes in parts: each once, in order. */
  onPart?: (part: PartEvent) => void;
}

export interface MessageEvent<T = unknown> {
  event: 'message';
  channel: string;
  via: 'broadcast' | 'multicast' | 'direct';
  topic?: string;
  group?: string;
  type?: string;
  id?: string;
  position?: Position;
  message: T;
}

export interface ConsumingEvent {
  event: 'consuming';
  channels: Record<string, { topics: string[]; groups: string[]; position?: Position }>;
  warnings?: string[];
}

export interface ReceiptEvent { event: 'receipt'; id: string; warnings?: string[] }
/** The token ends in so many ms; with an id: it was refreshed, and this is allowed now. */
export interface AuthEvent {
  event: 'auth';
  id?: string;
  expires_in_ms: number;
  channels?: Record<string, { consume: string[]; publish: string[]; request: string[] }>;
  groups?: string[];
}

export interface GapEvent { event: 'gap'; channel: string; cause: 'retention' | 'recreated' | 'too_far' | 'slow' | 'too_large' | 'lost'; position?: Position }
export interface ProgressEvent { event: 'progress'; id: string; state: 'confirmed' | 'taken' | 'retrying' | 'done' | 'dead_lettered'; attempt?: number }
export interface DrainEvent { event: 'drain'; retry_after_ms: number }
export interface WelcomeEvent { event: 'welcome'; client: string; session: string; limits: Record<string, number> }

/** One of many parts of an answer, before the answer itself. */
export interface PartEvent<T = unknown> {
  event: 'part';
  id: string;
  attempt: number;
  seq: number;
  message: T;
  /** The service has begun anew: throw away what came before this part. */
  restart: boolean;
}

/** Codes of errors that the plugin itself raises. */
export type PluginErrorCode =
  | 'outbox_full'
  | 'too_large'
  | 'duplicate_id'
  | 'cancelled'
  | 'expired'
  | 'client_changed'
  | 'storage_failed'
  | 'no_token'
  | 'draining'
  | 'offline'
  | 'closed';

/** An error of the aggregator, of a service, or of the plugin itself. */
export interface FozError extends Error {
  code: FozErrorCode | PluginErrorCode;
  retryable?: boolean;
  retry_after_ms?: number;
  field?: string;
  id?: string;
  service_code?: string;
  service?: unknown;
  /** Of a consume: which channel. */
  channel?: string;
  /** Of a consume after a reconnect: when it is tried again. */
  retry_in_ms?: number;
  /** With which the server closed the socket for good. */
  close_code?: number;
}

/**
 * - `connected`: the aggregator has welcomed this client. When it is about to go away, `reason` has the code `draining`.
 * - `waiting`: there is no connection; the plugin comes back by itself.
 * - `refused`: the server does not want this client as it is, and `reason` says why. Everything that waited has been
 *   rejected. `primus.open()` tries again.
 * - `closed`: the page has ended the connection, or Primus has after the number of retries that the page has set.
 */
export interface ConnectionState {
  name: 'connected' | 'waiting' | 'refused' | 'closed';
  reason: FozError | null;
  /** When the next attempt is made, in ms since 1970; null when that is not known. */
  next_at: number | null;
  /** Which attempt it is, from 1. */
  attempt: number;
}

export interface StoredMessage { id: string; frame: Record<string, unknown> }
export type Outcome = StoredMessage & ({ value: unknown; error?: undefined } | { error: FozError; value?: undefined });

/** An answer that comes in parts: read it with `for await`. Leaving the loop cancels the request. */
export interface AnswerStream<Part = unknown, Answer = unknown> extends AsyncIterableIterator<PartEvent<Part>> {
  readonly id: string;
  readonly answer: Promise<Answer>;
  cancel(): boolean;
}

interface Events {
  message: MessageEvent;
  gap: GapEvent;
  auth: AuthEvent;
  progress: ProgressEvent;
  part: PartEvent;
  drain: DrainEvent;
  welcome: WelcomeEvent;
  state: ConnectionState;
  /** Messages that an earlier page has left are being sent. */
  restored: StoredMessage[];
  /** What has become of one of them. */
  outcome: Outcome;
  /** What belongs to no promise. */
  error: FozError;
}

type WithId<P> = P & { readonly id: string };

export interface Foz {
  /** The client's id; null before the first welcome. */
  readonly client: string | null;
  /** Messages without receipt or answer. */
  readonly waiting: number;
  readonly state: ConnectionState;
  /** An asynchronous storage has said who this client is; with `manual: true`, open the connection after it. */
  readonly ready: Promise<void>;
  /** Hear a channel from now on and after every reconnect. Several calls add up. */
  consume(channel: string, options?: ConsumeOptions): Promise<ConsumingEvent>;
  consume(channels: string[], options?: ConsumeOptions): Promise<ConsumingEvent[]>;
  leave(channel: string, what?: { topics?: string[]; groups?: string[] }): void;
  /** Resolves when the broker has it safely. Without a connection it waits; it is sent again until then. */
  publish(channel: string, message: unknown, options?: PublishOptions): WithId<Promise<ReceiptEvent>>;
  /** Resolves with the service's answer. */
  request<T = unknown>(channel: string, message: unknown, options?: RequestOptions): WithId<Promise<T>>;
  /** A request whose answer comes in parts. */
  stream<Part = unknown, Answer = unknown>(
    channel: string, message: unknown, options?: Omit<RequestOptions, 'onPart'>): AnswerStream<Part, Answer>;
  /** Nobody waits for this message any more: its promise is rejected with `cancelled`. False: it does not wait. */
  cancel(id: string): boolean;
  /** Returns a function that takes the listener away. Every message comes once. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => boolean;
}
