// Grid8's realtime in a browser, or in a module worker: an ES module without dependencies, whose
// public types are in realtime.d.ts.
//
//   import { Realtime } from "https://api.example.org/web/realtime.js";
//   const realtime = new Realtime({ api: "https://api.example.org", org, token: () => token });
//   realtime.subscribe("org", { onEvent: ({ event }) => show(event), onReset: loadAgain });
//
// It connects, resumes each channel from its cursor after whatever breaks, and stops only for
// what no second try can mend. On a channel no event comes twice, or out of order.

import { Channel, isOn } from "./realtime/channel.js";
import { Connection } from "./realtime/connection.js";
import { covers, joined } from "./realtime/cursors.js";
import { RealtimeError, call } from "./realtime/errors.js";
import { TIMING, Timers } from "./realtime/pacing.js";

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
      streams: () => this.#streams(),
      became: (state, detail) => this.#became(state, detail),
      opened: () => this.#opened(),
      frame: (frame) => this.#hear(frame),
      unreadable: (channels) => this.#unreadable(channels),
      refused: (name, error) => this.#lose(name, error.code, error.message),
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
    this.#tidy();
  }

  /** Leave the server when there is nothing more to hear; a stream is opened for what is left. */
  #tidy() {
    if (this.#channels.size === 0) {
      this.#timers.clear("connect");
      this.#timers.set("idle", LINGER, () => this.#connection.rest());
    } else if (this.#connection.line?.kind === "sse") this.#connectIn(GATHER);
  }

  /** @param {number} after */
  #connectIn(after) {
    this.#timers.set("connect", after, () => this.#connection.connect());
  }

  /** @param {Channel} channel */
  #ask({ name, cursor }) {
    const since = cursor ? { since: cursor } : {};
    this.#connection.line?.send({ op: "subscribe", channel: name, ...since });
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
    const { line } = this.#connection;
    if (channel.isWanted && line) line.send({ op: "presence", channel: channel.name, watch: false });
  }

  /**
   * The streams to open. `me` has one of its own: of an event that is on it and on `org` too, a
   * stream of both would not tell which.
   */
  #streams() {
    const all = [...this.#channels.values()];
    const groups = [all.filter(({ name }) => name !== "me"), all.filter(({ name }) => name === "me")];
    return groups
      .filter((group) => group.length > 0)
      .map((group) => {
        const cursors = group.flatMap(({ cursor }) => (cursor ? [cursor] : []));
        const since = joined(cursors, "earliest");
        const latest = joined(cursors, "latest");
        for (const channel of group) {
          channel.cursor ??= latest;
          channel.floor = channel.cursor === since ? null : channel.cursor;
          channel.isStreamed = true;
          channel.isAsked = channel.name !== "me" && channel.watchers.size > 0;
        }
        const watched = group.filter(({ isAsked }) => isAsked);
        return { channels: group.map(nameOf), watched: watched.map(nameOf), since };
      });
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
    for (const channel of [...this.#channels.values()]) {
      if (this.transport === "ws") this.#ask(channel);
      else this.#begin(channel);
    }
  }

  /** @param {Channel} channel */
  #begin(channel) {
    channel.become("open", this.#connection.detail);
    if (channel.watchers.size) this.#askWho(channel);
  }

  /** @param {Frame} frame */
  #hear(frame) {
    if (frame.channels) return this.#sort(frame.channels, frame);
    const name = frame.channel;
    if (name === undefined) return;
    const owed = this.#owed.get(name) ?? 0;
    if (owed > 0) {
      // It is about who listened before.
      if (frame.op === "unsubscribed" && frame.code === undefined) this.#owed.set(name, owed - 1);
      return;
    }
    const channel = this.#channels.get(name);
    if (!channel || (this.transport === "sse" && !channel.isStreamed)) return;
    switch (frame.op) {
      case "event":
        if (frame.event && frame.cursor) channel.deliver(frame.event, frame.cursor);
        break;
      case "progress":
        channel.progress(frame);
        break;
      case "reset":
        channel.reset(frame);
        break;
      case "subscribed":
        channel.cursor = frame.cursor ?? channel.cursor;
        this.#begin(channel);
        break;
      case "presence":
        if (channel.watchers.size) channel.present(frame);
        break;
      case "unsubscribed":
        this.#lose(name, frame.code ?? "", frame.detail ?? "");
        break;
      case "error":
        this.#refused(channel, frame);
    }
  }

  /**
   * Bring what a stream said to the channels that it is on.
   * @param {string[]} names
   * @param {Frame} frame
   */
  #sort(names, { event, cursor }) {
    if (!cursor) return;
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (!channel?.isStreamed || (channel.floor && covers(channel.floor, cursor))) continue;
      channel.floor = null;
      const isMine = event && (names.length === 1 || isOn(name, event));
      if (isMine) channel.deliver(event, cursor);
      else channel.cursor = cursor;
    }
  }

  /** @param {string[]} names */
  #unreadable(names) {
    const held = names.flatMap((name) => this.#channels.get(name) ?? []);
    const had = held.filter(({ cursor }) => cursor !== null);
    for (const channel of had) channel.reset({ op: "reset" });
    return had.length > 0;
  }

  /**
   * @param {Channel} channel
   * @param {Frame} frame
   */
  #refused(channel, { code = "", detail = "" }) {
    const isOpen = channel.state === "open";
    if (code === "realtime.already_subscribed") return;
    if (code === "realtime.op_unknown" || isOpen) channel.absent(code);
    else if (code === "realtime.cursor_invalid" && this.#unreadable([channel.name])) {
      this.#ask(channel);
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
    this.#tidy();
  }
}

/** @param {Channel} channel */
function nameOf({ name }) {
  return name;
}
