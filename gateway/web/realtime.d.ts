/** Grid8's realtime in a browser: see realtime.js. */

/** What happened: a CloudEvent 1.0 in structured JSON, with Grid8's extensions. */
export interface CloudEvent<Data = Record<string, unknown>> {
  specversion: "1.0";
  id: string;
  source: string;
  type: string;
  /** RFC 3339, UTC. */
  time: string;
  data: Data;
  subject?: string;
  datacontenttype?: string;
  /** Version of the contract of `data`. */
  dataversion?: number;
  /** Organization it belongs to. */
  org?: string;
  /** User, or API key, who caused it. */
  actor?: string;
  impersonator?: string;
  correlationid?: string;
  causationid?: string;
  revision?: number;
  [extension: string]: unknown;
}

/**
 * - `idle`: nothing is subscribed, so there is no connection
 * - `connecting`: a ticket is asked for, a connection or a channel is being opened
 * - `open`: events arrive
 * - `waiting`: until the next try
 * - `closed`: for good
 */
export type State = "idle" | "connecting" | "open" | "waiting" | "closed";

/** A WebSocket, or the browser's own EventSource, which comes back by itself where it breaks. */
export type Transport = "ws" | "sse";

export interface StateDetail {
  /** By which way it is, or is being, connected. */
  transport: Transport | null;
  /** Of `waiting`: milliseconds until the next try. */
  retryIn: number | null;
  /** Why it waits, connects again, or is closed; null where that was asked for. */
  error: RealtimeError | null;
}

/** A problem document (RFC 9457) of the API. */
export interface Problem {
  status: number;
  code: string;
  title?: string;
  detail?: string;
  request_id?: string;
}

/** Why there is no connection. `code` is the problem's, or one that begins with `client.`. */
export class RealtimeError extends Error {
  constructor(
    code: string,
    message: string,
    more?: { problem?: Problem | null; retryAfter?: number | null; cause?: unknown },
  );
  readonly code: string;
  /** What the API answered, where it did. */
  readonly problem: Problem | null;
  /** Seconds that the server wants to be left alone. */
  readonly retryAfter: number | null;
}

export interface Options {
  /** Where the gateway is, such as `https://api.example.org`. */
  api: string;
  /** The organization. */
  org: string;
  /**
   * An access token, or an API key. Asked before every connection; with `renew` when the last
   * one was refused, or its session has ended: then one that is really new is wanted.
   */
  token: (want: { renew: boolean }) => string | Promise<string>;
  /**
   * `auto` (the default): a WebSocket, and a stream over HTTP where none can be opened, until
   * one is tried again later.
   */
  transport?: "auto" | Transport;
  onState?: (state: State, detail: StateDetail) => void;
  /** It has stopped for good: what has to be said to a person is in the error. */
  onError?: (error: RealtimeError) => void;
  timing?: Partial<Timing>;
}

/** In milliseconds. */
export interface Timing {
  /** The longest first pause; each next may be twice as long (500). */
  backoffBase: number;
  /** No pause is longer, unless the server asks for it (30,000). */
  backoffLimit: number;
  /** A connection that was open for so long begins with the shortest pause again (5,000). */
  steadyAfter: number;
  /** Silence after which the server is asked whether it is there (25,000). */
  pingAfter: number;
  /** How long that answer, a handshake, or the first word of a stream may take (10,000). */
  answerWithin: number;
  /** Silence after which a stream over HTTP, which brings a heartbeat every 15 s, is dead (45,000). */
  streamSilence: number;
  /** How long a stream over HTTP serves before a WebSocket is tried again (300,000). */
  socketAgain: number;
}

export interface EventMessage {
  channel: string;
  /** Where to resume after it: `since` of a later subscription. */
  cursor: string;
  event: CloudEvent;
}

export interface ResetMessage {
  channel: string;
  cursor: string | null;
  /** What the server says of the state as it is now, where it says anything. */
  snapshot: unknown;
}

/** How far some work is; not to be had again. */
export interface Progress {
  work: string;
  subject: string;
  stage: string;
  done: number;
  total: number;
  [more: string]: unknown;
}

export interface ProgressMessage {
  channel: string;
  progress: Progress;
}

export interface SubscribeOptions {
  /** A cursor to resume from. Without, the channel begins now. */
  since?: string;
  onEvent?: (message: EventMessage) => void;
  /** Events are missing before the next one: load the state anew. */
  onReset?: (message: ResetMessage) => void;
  onProgress?: (message: ProgressMessage) => void;
  /** The channel's state: `open` from when the server has agreed to it. */
  onState?: (state: State, detail: StateDetail) => void;
  /**
   * Nothing more will come, and this side did not ask for that: `code` tells why, such as
   * `realtime.channel_gone`.
   */
  onClosed?: (channel: string, code: string, detail: string) => void;
}

export interface Subscription {
  readonly channel: string;
  readonly state: State;
  /** Where it is: keep it to resume after a reload. */
  readonly cursor: string | null;
  unsubscribe(): void;
}

/** Somebody who listens to a channel. */
export interface Member {
  /** The user's. */
  id: string;
  /** Since when, RFC 3339. */
  since?: string;
  /** How many connections of theirs do. */
  connections?: number;
  [more: string]: unknown;
}

export interface PresenceOptions {
  /** Who is there, whenever that has changed; of very many only the first, and how many in all. */
  onMembers?: (members: readonly Member[], total: number) => void;
  onJoined?: (member: Member) => void;
  onLeft?: (member: Member) => void;
  /** Who is there cannot be told: of this channel, or by this server. */
  onUnavailable?: (code: string) => void;
}

export interface Presence {
  readonly channel: string;
  readonly members: readonly Member[];
  stop(): void;
}

export class Realtime {
  constructor(options: Options);
  readonly state: State;
  readonly transport: Transport | null;
  /**
   * Listen to a channel: `org`, `me`, `project:{id}`, `asset:{id}`, … Several may listen to the
   * same one; it is then one for the server. Throws RealtimeError: `client.closed` after the
   * end; `client.since_taken` for `since` of a channel that somebody else here listens to, for
   * it cannot go back for one alone.
   */
  subscribe(channel: string, options?: SubscribeOptions): Subscription;
  /** Be told who listens to a channel. Subscribes to it for as long as that is wanted. */
  presence(channel: string, options?: PresenceOptions): Presence;
  /** While it is `waiting`: try again now. */
  reconnect(): void;
  /** End it. Nothing is called after that but `onState` with `closed`. */
  close(): void;
}
