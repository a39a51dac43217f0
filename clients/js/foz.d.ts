// What the Foz plugin adds to a Primus client: `primus.foz`. The library with it is served at /primus/foz.js.
import type { FozErrorCode } from './codes';

export interface FozOptions {
  /** Who this client is: 22 to 64 characters of A-Z a-z 0-9 - _. `false`: whoever the cookie says (a page of the
   * aggregator's own origin, where it is the default). Otherwise a new secret, kept in `storage`. */
  resume?: string | false;
  /** localStorage or sessionStorage: keeps the secret when the page is loaded again. */
  storage?: { getItem(key: string): string | null; setItem(key: string, value: string): void } | null;
  /** Messages that may wait for their receipt or answer; 1,000. */
  outboxMessages?: number;
  /** The same in characters of JSON; 8 Mi. */
  outboxBytes?: number;
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
export interface GapEvent { event: 'gap'; channel: string; cause: 'retention' | 'recreated' | 'too_far' | 'slow' | 'too_large' | 'lost'; position?: Position }
export interface ProgressEvent { event: 'progress'; id: string; state: 'confirmed' | 'taken' | 'retrying' | 'done' | 'dead_lettered'; attempt?: number }
export interface DrainEvent { event: 'drain'; retry_after_ms: number }
export interface WelcomeEvent { event: 'welcome'; client: string; session: string; limits: Record<string, number> }

/** An error of the aggregator or of a service, or of the plugin itself: `outbox_full`, `duplicate_id`, `closed`. */
export interface FozError extends Error {
  code: FozErrorCode | 'outbox_full' | 'duplicate_id' | 'closed';
  retryable?: boolean;
  field?: string;
  id?: string;
  service_code?: string;
  service?: unknown;
}

interface Events {
  message: MessageEvent;
  gap: GapEvent;
  progress: ProgressEvent;
  drain: DrainEvent;
  welcome: WelcomeEvent;
  /** What belongs to no promise. */
  error: FozError;
}

export interface Foz {
  /** The client's id; null before the first welcome. */
  readonly client: string | null;
  /** Messages without receipt or answer. */
  readonly waiting: number;
  /** Hear a channel from now on and after every reconnect. Several calls add up. */
  consume(channel: string, options?: ConsumeOptions): Promise<ConsumingEvent>;
  consume(channels: string[], options?: ConsumeOptions): Promise<ConsumingEvent[]>;
  leave(channel: string, what?: { topics?: string[]; groups?: string[] }): void;
  /** Resolves when the broker has it safely. Without a connection it waits; it is sent again until then. */
  publish(channel: string, message: unknown, options?: PublishOptions): Promise<ReceiptEvent>;
  /** Resolves with the service's answer. */
  request<T = unknown>(channel: string, message: unknown, options?: RequestOptions): Promise<T>;
  /** Returns a function that takes the listener away. Every message comes once. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => boolean;
}
