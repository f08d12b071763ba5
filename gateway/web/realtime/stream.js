import { cursorOf } from "./cursors.js";
import { CLOSE } from "./line.js";
import { Timers } from "./pacing.js";

/** @import {Timing} from "../realtime.js" */
/** @import {Hooks, Line} from "./line.js" */

/** Times in a row that the browser may fail to come back before it is left to it no more. */
const RETURNS = 4;
/** Milliseconds after which a browser tries, at most, as the server asks it to. */
const RETRY = 3000;

/**
 * Open an event stream. The browser comes back by itself where it breaks; that is told as
 * `interrupted`, and then `opened` once more. After `ended`, or `close()`, nothing more is told.
 * @param {string} url with its ticket, and `frames=ops`
 * @param {Hooks} hooks
 * @param {Timing} timing
 * @returns {Line}
 */
export function openStream(url, hooks, timing) {
  const source = new EventSource(url);
  const timers = new Timers();
  let heard = Date.now();
  let isOpen = false;
  let opened = false;
  let over = false;
  let failures = 0;
  let parting = "";

  /**
   * @param {number} code
   * @param {string} reason
   */
  function end(code, reason) {
    if (over) return;
    quit();
    hooks.ended({ code, reason, opened });
  }

  function quit() {
    over = true;
    timers.end();
    source.onmessage = source.onerror = null;
    source.close();
  }

  function listen() {
    const left = heard + timing.streamSilence - Date.now();
    if (left <= 0) end(CLOSE.LOST, "nothing was heard");
    else timers.set("silence", left, listen);
  }

  function check() {
    if (Date.now() - heard > timing.streamSilence / 2) end(CLOSE.LOST, "nothing was heard");
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  function part(code, reason) {
    // Its notifier goes, or cannot serve just now: then the browser's next try may find another.
    if (code === CLOSE.GOING_AWAY || code === CLOSE.TRY_AGAIN_LATER) parting = reason;
    else end(code, reason);
  }

  timers.set("answer", timing.answerWithin, () => end(CLOSE.LOST, "there was no answer"));
  source.onmessage = ({ data, lastEventId }) => {
    heard = Date.now();
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame === null || typeof frame !== "object") return;
    if (frame.op === "close") return part(Number(frame.code), String(frame.reason));
    if (!isOpen) {
      isOpen = opened = true;
      failures = 0;
      parting = "";
      timers.clear("answer");
      listen();
      hooks.opened();
      if (over) return;
    }
    // An EventSource tells the id of nothing but messages: a heartbeat is one for its sake, too.
    if (frame.op === "heartbeat" && lastEventId) frame.cursor = cursorOf(lastEventId);
    hooks.frame(frame);
  };
  source.onerror = () => {
    const reason = parting || "the stream broke";
    failures += 1;
    // It is told no status. What is the matter is said when the next ticket is asked for.
    const isRefused = source.readyState === EventSource.CLOSED;
    if (isRefused || !opened || failures > RETURNS) return end(CLOSE.LOST, reason);
    timers.clear("silence");
    timers.set("answer", RETRY + timing.answerWithin, () => end(CLOSE.LOST, reason));
    if (isOpen) hooks.interrupted(reason);
    isOpen = false;
  };
  return { kind: "sse", send() {}, check, close: quit };
}
