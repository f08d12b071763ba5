import { RealtimeError } from "./errors.js";
import { CLOSE } from "./line.js";
import { Backoff, Timers } from "./pacing.js";
import { openSocket } from "./socket.js";
import { openStream } from "./stream.js";
import { Failure, Tickets, failure } from "./tickets.js";

/** @import {Options, State, StateDetail, Timing, Transport} from "../realtime.js" */
/** @import {Ending, Frame, Line} from "./line.js" */

/** Tries to open a WebSocket before a stream over HTTP is tried; and where one was open before. */
const TRIES = 2;
const TRIES_OF_THE_PROVEN = 6;
/** Milliseconds after a flood. */
const CALM = 5000;

/** @type {Record<number, string>} */
const CODES = {
  [CLOSE.SESSION_ENDED]: "client.session_ended",
  [CLOSE.MEMBERSHIP_ENDED]: "client.membership_ended",
  [CLOSE.TOO_SLOW]: "client.too_slow",
  [CLOSE.FLOOD]: "client.flood",
};

/**
 * A stream to open over HTTP.
 * @typedef {{channels: string[], watched: string[], since: string | null}} Wanted
 */

/**
 * Who uses a connection.
 * @typedef {{
 *   wants(): boolean,
 *   stream(): Wanted,
 *   became(state: State, detail: StateDetail): void,
 *   opened(): void,
 *   frame(frame: Frame): void,
 * }} Owner
 *
 * `wants`: whether there is anything to hear.
 */

/** Keeps one line to the server open, by whichever way it can, until it is ended. */
export class Connection {
  /** @type {State} */
  state = "idle";
  /** @type {StateDetail} */
  detail = { transport: null, retryIn: null, error: null };
  #owner;
  #wanted;
  #timing;
  #tickets;
  #backoff;
  #timers = new Timers();
  /** @type {Line | null} */
  #line = null;
  /** @type {AbortController | null} The attempt, or the line, that is current. */
  #attempt = null;
  #tries = 0;
  #isProven = false;
  #socketFrom = 0;
  #quietUntil = 0;
  #hurried = 0;
  #renewed = false;
  #wake = () => this.#look();

  /**
   * @param {Options} options
   * @param {Timing} timing
   * @param {Owner} owner
   */
  constructor(options, timing, owner) {
    this.#owner = owner;
    this.#wanted = options.transport ?? "auto";
    this.#timing = timing;
    this.#tickets = new Tickets(options, timing.answerWithin);
    this.#backoff = new Backoff(timing);
    globalThis.addEventListener?.("online", this.#wake);
    globalThis.addEventListener?.("pageshow", this.#wake);
    globalThis.document?.addEventListener("visibilitychange", this.#wake);
  }

  /** What carries messages to the server now, if anything does. */
  get line() {
    return this.state === "open" ? this.#line : null;
  }

  /** A pause before something is asked for once more. */
  pause() {
    return this.#backoff.next();
  }

  /** Connect now, anew where there is a connection. */
  async connect() {
    this.#drop();
    const attempt = new AbortController();
    this.#attempt = attempt;
    const { signal } = attempt;
    const transport = this.#choose();
    this.#become("connecting", { transport });
    if (signal.aborted) return;
    try {
      const line = transport === "ws" ? await this.#socket(signal) : await this.#stream(signal);
      if (signal.aborted) line?.close();
      else this.#line = line;
    } catch (cause) {
      this.#failed(signal, cause);
    }
  }

  /** Do not wait any longer. */
  hurry() {
    if (this.state === "waiting") this.connect();
  }

  /** Leave the server, until the next `connect`. */
  rest() {
    this.#drop();
    this.#become("idle", {});
  }

  /** @param {RealtimeError | null} error */
  end(error) {
    if (this.state === "closed") return;
    this.#drop();
    globalThis.removeEventListener?.("online", this.#wake);
    globalThis.removeEventListener?.("pageshow", this.#wake);
    globalThis.document?.removeEventListener("visibilitychange", this.#wake);
    this.#become("closed", { error });
  }

  /** Forget the line, or the attempt to have one. */
  #drop() {
    this.#attempt?.abort();
    this.#attempt = null;
    this.#line?.close();
    this.#line = null;
    this.#timers.end();
  }

  /** @returns {Transport} */
  #choose() {
    if (this.#wanted !== "auto") return this.#wanted;
    if (typeof WebSocket !== "function" || Date.now() < this.#socketFrom) return "sse";
    const past = this.#tries - (this.#isProven ? TRIES_OF_THE_PROVEN : TRIES);
    // Then by turns: what blocks a WebSocket looks like a server that is down.
    return past >= 0 && past % 2 === 0 ? "sse" : "ws";
  }

  /** @param {AbortSignal} signal */
  async #socket(signal) {
    const { ws_url: url, ticket } = await this.#tickets.take(signal);
    if (signal.aborted) return null;
    return openSocket(`${url}?ticket=${ticket}`, this.#hooks(signal), this.#timing);
  }

  /** @param {AbortSignal} signal */
  async #stream(signal) {
    const { sse_url: url, ticket } = await this.#tickets.take(signal);
    if (signal.aborted || !this.#owner.wants()) return null;
    const { channels, watched, since } = this.#owner.stream();
    if (signal.aborted) return null;
    const query = new URLSearchParams({ frames: "ops", ticket });
    for (const channel of channels) query.append("channel", channel);
    for (const channel of watched) query.append("presence", channel);
    if (since) query.set("since", since);
    return openStream(`${url}?${query}`, this.#hooks(signal), this.#timing);
  }

  /** @param {AbortSignal} signal */
  #hooks(signal) {
    return {
      opened: () => this.#opened(),
      interrupted: (/** @type {string} */ reason) => this.#interrupted(reason),
      frame: (/** @type {Frame} */ frame) => {
        if (!signal.aborted) this.#owner.frame(frame);
      },
      ended: (/** @type {Ending} */ ending) => {
        if (!signal.aborted) this.#ended(ending);
      },
    };
  }

  #opened() {
    const transport = /** @type {Line} */ (this.#line).kind;
    this.#timers.set("steady", this.#timing.steadyAfter, () => {
      this.#backoff.reset();
      this.#renewed = false;
    });
    if (transport === "ws") {
      this.#tries = 0;
      this.#isProven = true;
    } else if (this.#wanted === "auto") {
      // A WebSocket is tried again after a while: once, and then comes a stream again. Where one
      // was open before, it is soon: the server was away, and came back when it was this one's turn.
      const { steadyAfter, socketAgain } = this.#timing;
      this.#socketFrom ||= Date.now() + (this.#isProven ? steadyAfter : socketAgain);
      this.#tries = TRIES - 1;
      this.#isProven = false;
      const after = Math.max(0, this.#socketFrom - Date.now());
      this.#timers.set("socket", after, () => {
        this.#socketFrom = 0;
        this.connect();
      });
    }
    this.#become("open", { transport });
    if (this.state === "open") this.#owner.opened();
  }

  /**
   * The browser is about to come back by itself.
   * @param {string} reason
   */
  #interrupted(reason) {
    this.#timers.clear("steady");
    const error = new RealtimeError("client.connection_lost", reason);
    this.#become("connecting", { transport: this.detail.transport, error });
  }

  /** @param {Ending} ending */
  #ended({ code, reason, opened }) {
    this.#line = null;
    this.#timers.end();
    if (!opened) this.#tries += 1;
    const words = reason || "The connection is lost.";
    const why = new RealtimeError(CODES[code] ?? "client.connection_lost", words);
    if (code === CLOSE.MEMBERSHIP_ENDED) return this.end(why);
    if (code === CLOSE.NOTHING_LEFT && !this.#owner.wants()) return this.rest();
    if (code === CLOSE.SESSION_ENDED) {
      if (this.#renewed) return this.end(why);
      this.#renewed = true;
      this.#tickets.renew();
      return void this.connect();
    }
    if (code === CLOSE.TOO_SLOW && Date.now() - this.#hurried > this.#timing.backoffLimit) {
      this.#hurried = Date.now();
      return void this.connect();
    }
    this.#wait(why, code === CLOSE.FLOOD ? CALM : 0);
  }

  /**
   * @param {AbortSignal} signal
   * @param {unknown} cause
   */
  #failed(signal, cause) {
    if (signal.aborted) return;
    const failed = cause instanceof Failure ? cause : failure("client.failed", String(cause), cause);
    if (failed.final) this.end(failed.error);
    else this.#wait(failed.error);
  }

  /**
   * @param {RealtimeError} error
   * @param {number} [least]
   */
  #wait(error, least = 0) {
    const { transport } = this.detail;
    this.#drop();
    const asked = Math.max(least, (error.retryAfter ?? 0) * 1000);
    const retryIn = Math.round(asked + this.#backoff.next());
    this.#quietUntil = Date.now() + asked;
    this.#timers.set("retry", retryIn, () => this.connect());
    this.#become("waiting", { transport, retryIn, error });
  }

  /** Something may be better than it was, or worse: the network is back, or somebody looks again. */
  #look() {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.state === "waiting" && Date.now() >= this.#quietUntil) this.connect();
    else if (this.state === "open") this.#line?.check();
  }

  /**
   * @param {State} state
   * @param {Partial<StateDetail>} detail
   */
  #become(state, detail) {
    if (this.state === "closed") return;
    this.state = state;
    this.detail = { transport: null, retryIn: null, error: null, ...detail };
    this.#owner.became(state, this.detail);
  }
}
