// Grid8's realtime in a browser, or in a module worker: an ES module without dependencies, whose
// public types are in realtime.d.ts.
//
//   import { Realtime } from "https://api.example.org/web/realtime.js";
//   const realtime = new Realtime({ api: "https://api.example.org", org, token: () => token });
//   realtime.subscribe("org", { onEvent: ({ event }) => show(event), onReset: loadAgain });
//
// It connects, resumes each channel from its cursor after whatever breaks, and stops only for
// what no second try can mend. On a channel no event comes twice, or out of order.

import { Channel } from "./realtime/channel.js";
import { Connection } from "./realtime/connection.js";
import { RealtimeError, call } from "./realtime/errors.js";
import { TIMING, Timers } from "./realtime/pacing.js";
import { streamOf } from "./realtime/streamed.js";

/** @import * as Api from "./realtime.js" */
/** @import {Frame} from "./realtime/line.js" */

export { RealtimeError };

/** Milliseconds that a connection nobody needs is kept, for whoever comes next. */
const LINGER = 1000;
/** Milliseconds in which channels of a stream that come and go are taken together. */
const GATHER = 50;

export class Realtime {
  #options;
  #connection;
  #timers = new Timers();
  /** @type {Map<string, Channel>} */
  #channels = new Map();
  /** @type {Map<string, number>} Answers to `unsubscribe` that are to come before any other. */
  #owed = new Map();

  /** @param {Api.Options} options */
  constructor(options) {
    this.#options = options;
    this.#connection = new Connection(options, { ...TIMING, ...options.timing }, {
      wants: () => this.#channels.size > 0,
      stream: () => streamOf([...this.#channels.values()]),
      became: (state, detail) => this.#became(state, detail),
      opened: () => this.#opened(),
      frame: (frame) => this.#hear(frame),
    });
  }

  get state() {
    return this.#connection.state;
  }

  get transport() {
    return this.#connection.detail.transport;
  }

  /**
   * @param {string} name
   * @param {Api.SubscribeOptions} [options]
   * @returns {Api.Subscription}
   */
  subscribe(name, options = {}) {
    const listener = { ...options };
    const channel = this.#hold(name, options.since);
    channel.listeners.add(listener);
    return {
      channel: name,
      get state() {
        return channel.listeners.has(listener) ? channel.state : "closed";
      },
      get cursor() {
        return channel.cursor;
      },
      unsubscribe: () => {
        if (channel.listeners.delete(listener)) this.#release(channel);
      },
    };
  }

  /**
   * @param {string} name
   * @param {Api.PresenceOptions} [options]
   * @returns {Api.Presence}
   */
  presence(name, options = {}) {
    const watcher = { ...options };
    const channel = this.#hold(name);
    channel.watchers.add(watcher);
    if (channel.members) call(watcher.onMembers, [...channel.members.values()], channel.members.size);
    else if (channel.state === "open" && channel.watchers.size === 1) this.#askWho(channel);
    return {
      channel: name,
      get members() {
        return [...(channel.members?.values() ?? [])];
      },
      stop: () => {
        if (!channel.watchers.delete(watcher)) return;
        if (channel.watchers.size === 0 && channel.members) this.#askNoMore(channel);
        this.#release(channel);
      },
    };
  }

  reconnect() {
    this.#connection.hurry();
  }

  close() {
    this.#connection.end(null);
  }

  /**
   * @param {string} name
   * @param {string} [since]
   */
  #hold(name, since) {
    if (this.state === "closed") throw new RealtimeError("client.closed", "It was closed.");
    const known = this.#channels.get(name);
    if (known !== undefined) {
      if (since === undefined) return known;
      throw new RealtimeError("client.since_taken", `${name} is listened to already.`);
    }
    const channel = new Channel(name, since ?? null);
    this.#channels.set(name, channel);
    this.#timers.clear("idle");
    channel.state = this.state === "waiting" ? "waiting" : "connecting";
    if (this.state === "idle") this.#connectIn(0);
    else if (this.#connection.line?.kind === "ws") this.#ask(channel);
    else if (this.transport === "sse" && this.state !== "waiting") this.#connectIn(GATHER);
    return channel;
  }

  /** @param {Channel} channel */
  #release(channel) {
    if (channel.isWanted || this.#channels.get(channel.name) !== channel) return;
    this.#channels.delete(channel.name);
    const { line } = this.#connection;
    if (line?.kind === "ws") {
      this.#owed.set(channel.name, (this.#owed.get(channel.name) ?? 0) + 1);
      line.send({ op: "unsubscribe", channel: channel.name });
    }
    this.#restIfIdle();
    // A stream is opened anew, of what is left.
    if (this.#channels.size > 0 && this.transport === "sse" && this.state !== "waiting") {
      this.#connectIn(GATHER);
    }
  }

  /** Leave the server when there is nothing more to hear. */
  #restIfIdle() {
    if (this.#channels.size > 0) return;
    this.#timers.clear("connect");
    this.#timers.set("idle", LINGER, () => this.#connection.rest());
  }

  /** @param {number} after */
  #connectIn(after) {
    this.#timers.set("connect", after, () => this.#connection.connect());
  }

  /** @param {Channel} channel */
  #ask(channel) {
    const since = channel.cursor ? { since: channel.cursor } : {};
    channel.floor = null;
    this.#connection.line?.send({ op: "subscribe", channel: channel.name, ...since });
  }

  /** @param {Channel} channel */
  #askWho(channel) {
    const { line } = this.#connection;
    if (channel.name === "me") channel.absent("realtime.presence_unknown");
    else if (line?.kind === "ws") line.send({ op: "presence", channel: channel.name });
    // A stream is asked when it is opened.
    else if (!channel.isAsked) this.#connectIn(GATHER);
  }

  /** @param {Channel} channel */
  #askNoMore(channel) {
    channel.members = null;
    channel.isAsked = false;
    const { line } = this.#connection;
    if (channel.isWanted && line) line.send({ op: "presence", channel: channel.name, watch: false });
  }

  /**
   * @param {Api.State} state
   * @param {Api.StateDetail} detail
   */
  #became(state, detail) {
    this.#owed.clear();
    const channels = [...this.#channels.values()];
    if (state === "closed") {
      this.#timers.end();
      this.#channels.clear();
    }
    call(this.#options.onState, state, detail);
    for (const channel of channels) {
      if (state !== "open") channel.members = null;
      if (state === "closed") channel.end(detail);
      else if (state !== "open" && this.state === state) channel.become(state, detail);
    }
    if (state === "closed" && detail.error) call(this.#options.onError, detail.error);
  }

  #opened() {
    // A stream was told when it was opened.
    if (this.transport === "ws") for (const channel of [...this.#channels.values()]) this.#ask(channel);
  }

  /** @param {Channel} channel */
  #begin(channel) {
    channel.become("open", this.#connection.detail);
    if (channel.watchers.size) this.#askWho(channel);
  }

  /** @param {Frame} frame */
  #hear(frame) {
    const { op, channel: name } = frame;
    if (op === "heartbeat") return this.#advance(frame);
    if (name === undefined) return;
    const owed = this.#owed.get(name) ?? 0;
    if (owed > 0) {
      // It is about who listened before.
      if (op === "unsubscribed" && frame.code === undefined) this.#owed.set(name, owed - 1);
      return;
    }
    const channel = this.#channels.get(name);
    if (!channel || (this.transport === "sse" && !channel.isStreamed)) return;
    if (op === "subscribed") {
      channel.agreed(frame);
      this.#begin(channel);
    } else if (op === "unsubscribed") this.#lose(name, frame.code ?? "", frame.detail ?? "");
    else if (op === "error") this.#refused(channel, frame);
    else channel.hear(frame);
  }

  /** @param {Frame} frame */
  #advance({ cursor }) {
    if (!cursor) return;
    for (const channel of this.#channels.values()) if (channel.isStreamed) channel.advance(cursor);
  }

  /**
   * @param {Channel} channel
   * @param {Frame} frame
   */
  #refused(channel, { code = "", detail = "" }) {
    const isOpen = channel.state === "open";
    if (code === "realtime.already_subscribed") return;
    if (code === "realtime.op_unknown" || isOpen) channel.absent(code);
    else if (code === "realtime.cursor_invalid" && channel.cursor) {
      channel.hear({ op: "reset" });
      if (this.#channels.get(channel.name) === channel) this.#ask(channel);
    } else if (code === "realtime.unavailable") {
      const { line } = this.#connection;
      this.#timers.set(`ask ${channel.name}`, this.#connection.pause(), () => {
        const isHere = this.#channels.get(channel.name) === channel;
        if (isHere && line === this.#connection.line) this.#ask(channel);
      });
    } else this.#lose(channel.name, code, detail);
  }

  /**
   * @param {string} name
   * @param {string} code
   * @param {string} detail
   */
  #lose(name, code, detail) {
    const channel = this.#channels.get(name);
    this.#channels.delete(name);
    channel?.end({ ...this.#connection.detail, error: new RealtimeError(code, detail) });
    this.#restIfIdle();
  }
}
