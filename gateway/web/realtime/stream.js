import { RealtimeError, isFinal, refusalOf } from "./errors.js";
import { cursorOf } from "./cursors.js";
import { CLOSE } from "./line.js";
import { Parser } from "./parser.js";
import { Timers } from "./pacing.js";
import { Failure, failure } from "./tickets.js";

/** @import {Timing} from "../realtime.js" */
/** @import {Frame, Hooks, Line} from "./line.js" */

// It is read with fetch. An EventSource would tell only of events whose names it was given
// before, and custom.* may be any; nor would it tell of a status, or of the heartbeat.

/**
 * Open streams over HTTP, which are one line: one that ends ends them all. After `ended`, or
 * `close()`, nothing more is told.
 * @param {{url: string, channels: string[]}[]} parts with their tickets
 * @param {Hooks} hooks
 * @param {Timing} timing
 * @returns {Line}
 */
export function openStream(parts, hooks, timing) {
  const controller = new AbortController();
  const timers = new Timers();
  let missing = parts.length;
  let heard = Date.now();
  let over = false;

  /**
   * @param {number} code
   * @param {string} reason
   * @param {{refusal?: Failure, channels?: string[], least?: number}} [more]
   */
  function end(code, reason, more = {}) {
    if (over) return;
    quit();
    hooks.ended({ code, reason, opened: missing === 0, ...more });
  }

  function quit() {
    over = true;
    timers.end();
    controller.abort();
  }

  /** @param {{url: string, channels: string[]}} part */
  async function run({ url, channels }) {
    const answer = await ask(url, controller.signal);
    if (!answer.ok) {
      const error = await refusalOf(answer);
      end(CLOSE.LOST, error.message, { refusal: new Failure(error, isFinal(error)), channels });
      return;
    }
    if (over || !answer.body) return;
    let begun = false;
    const parser = new Parser();
    const decoder = new TextDecoder();
    const reader = answer.body.getReader();
    for (;;) {
      const silent = () => end(CLOSE.LOST, "nothing was heard");
      timers.set(url, timing.streamSilence, silent);
      const { done, value } = await reader.read();
      heard = Date.now();
      if (done) break;
      for (const told of parser.feed(decoder.decode(value, { stream: true }))) {
        if (over) return;
        const frame = frameOf(told, channels);
        if (frame === null) continue;
        if (frame.op === "close") {
          end(Number(frame.code), String(frame.reason), { least: parser.retry ?? 0 });
          return;
        }
        if (!begun) {
          // A server that cannot serve just now answers with a stream too, which only closes.
          begun = true;
          missing -= 1;
          if (missing === 0) {
            timers.clear("answer");
            hooks.opened();
          }
        }
        hooks.frame(frame);
      }
    }
    end(CLOSE.LOST, "the stream ended");
  }

  timers.set("answer", timing.answerWithin, () => end(CLOSE.LOST, "there was no answer"));
  for (const part of parts) {
    run(part).catch((cause) => {
      const { message } = cause instanceof Error ? cause : new Error(String(cause));
      end(CLOSE.LOST, message);
    });
  }
  function check() {
    if (Date.now() - heard > timing.streamSilence / 2) end(CLOSE.LOST, "nothing was heard");
  }

  return { kind: "sse", send() {}, check, close: quit };
}

/**
 * Which of these channels the server refuses, and why: a stream of several does not say.
 * @param {string[]} channels
 * @param {(channel: string) => Promise<string>} urlOf
 * @param {AbortSignal} signal
 * @returns {Promise<Map<string, RealtimeError>>}
 */
export async function refusedOf(channels, urlOf, signal) {
  /** @type {Map<string, RealtimeError>} */
  const found = new Map();
  for (const channel of channels) {
    const url = await urlOf(channel);
    const cut = new AbortController();
    const stop = () => cut.abort();
    signal.addEventListener("abort", stop, { once: true });
    try {
      const answer = await ask(url, cut.signal);
      if ([403, 404].includes(answer.status)) found.set(channel, await refusalOf(answer));
    } catch (cause) {
      throw failure("client.unreachable", "The server cannot be reached.", cause);
    } finally {
      signal.removeEventListener("abort", stop);
      cut.abort();
    }
  }
  return found;
}

/**
 * @param {string} url
 * @param {AbortSignal} signal
 */
function ask(url, signal) {
  const headers = { Accept: "text/event-stream" };
  return fetch(url, { headers, signal, cache: "no-store", credentials: "omit" });
}

/**
 * @param {{type: string, data: string | null, id: string}} told
 * @param {string[]} channels
 * @returns {Frame | null}
 */
function frameOf({ type, data, id }, channels) {
  const cursor = id ? cursorOf(id) : undefined;
  if (data === null) return cursor === undefined ? null : { op: "cursor", channels, cursor };
  let told;
  try {
    told = JSON.parse(data);
  } catch {
    return null;
  }
  // Types of events have a dot in them, and what the server says of itself has none.
  if (type.includes(".")) return { op: "event", channels, cursor, event: told };
  return { ...told, op: type, cursor };
}
