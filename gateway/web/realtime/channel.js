import { covers } from "./cursors.js";
import { call } from "./errors.js";

/** @import {CloudEvent, Member, PresenceOptions, State, StateDetail, SubscribeOptions} from "../realtime.js" */
/** @import {Frame} from "./line.js" */

const REMEMBERED = 256;

/** One channel, and everybody here who listens to it. */
export class Channel {
  /** @type {State} */
  state = "idle";
  /** @type {string | null} Where it is. */
  cursor;
  /** @type {string | null} What ends here was delivered before the stream now read began. */
  floor = null;
  /** @type {Set<SubscribeOptions>} */
  listeners = new Set();
  /** @type {Set<PresenceOptions>} */
  watchers = new Set();
  /** @type {Map<string, Member> | null} */
  members = null;
  /** Whether the stream that is open is one of this channel, and not of who had its name before. */
  isStreamed = false;
  /** Whether the stream that is open, or being opened, tells who is there. */
  isAsked = false;
  /** @type {Set<string>} Ids of the last events, oldest first. */
  #seen = new Set();

  /**
   * @param {string} name
   * @param {string | null} cursor
   */
  constructor(name, cursor) {
    this.name = name;
    this.cursor = cursor;
  }

  get isWanted() {
    return this.listeners.size + this.watchers.size > 0;
  }

  /**
   * @param {State} state
   * @param {StateDetail} detail
   */
  become(state, detail) {
    if (state === this.state && state !== "waiting") return;
    this.state = state;
    this.#tell((each) => call(each.onState, state, detail));
  }

  /**
   * The server serves it, from where that says.
   * @param {Frame} frame
   */
  agreed({ cursor, recovered }) {
    if (!recovered) this.floor = null;
    // A stream's cursor may be older than the channel's own.
    if (!recovered || this.cursor === null) this.cursor = this.floor ?? cursor ?? this.cursor;
  }

  /**
   * What the server said of it.
   * @param {Frame} frame
   */
  hear(frame) {
    switch (frame.op) {
      case "event":
        if (frame.event && frame.cursor) this.#deliver(frame.event, frame.cursor);
        break;
      case "reset":
        this.#reset(frame);
        break;
      case "progress":
        this.#progress(frame);
        break;
      case "presence":
        if (this.watchers.size) this.#present(frame);
    }
  }

  /**
   * A stream says where it is, of which this is one channel.
   * @param {string} cursor
   */
  advance(cursor) {
    if (this.state !== "open" || (this.floor && !covers(cursor, this.floor))) return;
    this.floor = null;
    this.cursor = cursor;
  }

  /**
   * @param {CloudEvent} event
   * @param {string} cursor
   */
  #deliver(event, cursor) {
    if (this.floor && covers(this.floor, cursor)) return;
    this.floor = null;
    this.cursor = cursor;
    if (this.#seen.has(event.id)) return;
    this.#seen.add(event.id);
    if (this.#seen.size > REMEMBERED) {
      this.#seen.delete(/** @type {string} */ (this.#seen.values().next().value));
    }
    this.#tell((each) => call(each.onEvent, { channel: this.name, cursor, event }));
  }

  /** @param {Frame} frame */
  #reset({ cursor, snapshot }) {
    this.cursor = cursor ?? null;
    this.floor = null;
    const message = { channel: this.name, cursor: this.cursor, snapshot: snapshot ?? null };
    this.#tell((each) => call(each.onReset, message));
  }

  /** @param {Frame} frame */
  #progress({ progress }) {
    if (!progress) return;
    this.#tell((each) => call(each.onProgress, { channel: this.name, progress }));
  }

  /**
   * Nothing more will come: because of an error, or because it was asked for.
   * @param {StateDetail} detail
   */
  end(detail) {
    const { error } = detail;
    this.become("closed", detail);
    if (error) {
      this.#tell((each) => call(each.onClosed, this.name, error.code, error.message));
      this.absent(error.code);
    }
    this.listeners.clear();
    this.watchers.clear();
  }

  /**
   * Who is there: all of them, or who has come and gone since.
   * @param {Frame} frame
   */
  #present({ members, joined = [], left = [], total }) {
    const before = this.members;
    const known = new Map(members ? members.map(memberOf).map((each) => [each.id, each]) : before);
    const come = joined.map(memberOf);
    const gone = left.map(memberOf).map((each) => known.get(each.id) ?? each);
    if (members && before) {
      // It was not told of who came and went meanwhile.
      come.push(...[...known.values()].filter(({ id }) => !before.has(id)));
      gone.push(...[...before.values()].filter(({ id }) => !known.has(id)));
    } else if (!members && !before) return;
    for (const each of come) known.set(each.id, each);
    for (const each of gone) known.delete(each.id);
    this.members = known;
    const all = [...known.values()];
    for (const each of [...this.watchers]) {
      for (const member of come) call(each.onJoined, member);
      for (const member of gone) call(each.onLeft, member);
      call(each.onMembers, all, Math.max(all.length, total ?? 0));
    }
  }

  /**
   * Who is there cannot be told.
   * @param {string} code
   */
  absent(code) {
    this.members = null;
    for (const each of [...this.watchers]) call(each.onUnavailable, code);
  }

  /** @param {(each: SubscribeOptions) => void} tell */
  #tell(tell) {
    for (const each of [...this.listeners]) {
      // One may have been taken away by one before it.
      if (this.listeners.has(each)) tell(each);
    }
  }
}

/**
 * @param {unknown} told
 * @returns {Member}
 */
function memberOf(told) {
  if (told === null || typeof told !== "object") return { id: String(told) };
  const fields = /** @type {Record<string, unknown>} */ (told);
  return { ...fields, id: String(fields["user"]) };
}
