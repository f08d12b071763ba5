import { CLOSE } from "./line.js";
import { Timers } from "./pacing.js";

/** @import {Timing} from "../realtime.js" */
/** @import {Hooks, Line} from "./line.js" */

// The server bears 50 messages a second, and 100 at once.
const BURST = 60;
const EVERY = 1000 / 25;

/**
 * Open a WebSocket. After `ended`, or `close()`, nothing more is told.
 * @param {string} url with its ticket
 * @param {Hooks} hooks
 * @param {Timing} timing
 * @returns {Line}
 */
export function openSocket(url, hooks, timing) {
  const socket = new WebSocket(url);
  const timers = new Timers();
  /** @type {string[]} */
  const waiting = [];
  let allowance = BURST;
  let counted = Date.now();
  let heard = Date.now();
  let opened = false;
  let over = false;

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
    waiting.length = 0;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    // Of a socket that is still connecting, a browser logs that this cuts it: it is meant.
    socket.close(1000);
  }

  function flush() {
    const now = Date.now();
    allowance = Math.min(BURST, allowance + Math.max(0, now - counted) / EVERY);
    counted = now;
    while (waiting.length && allowance >= 1) {
      allowance -= 1;
      socket.send(/** @type {string} */ (waiting.shift()));
    }
    if (waiting.length) timers.set("flush", EVERY, flush);
  }

  function listen() {
    const idle = Math.max(0, Date.now() - heard);
    if (idle >= timing.pingAfter) check();
    else timers.set("listen", timing.pingAfter - idle, listen);
  }

  function check() {
    if (over || !opened || timers.has("answer")) return;
    timers.set("answer", timing.answerWithin, () => end(CLOSE.LOST, "there was no answer"));
    // Before whatever waits: it asks about the line.
    socket.send('{"op":"ping"}');
    allowance -= 1;
  }

  timers.set("answer", timing.answerWithin, () => end(CLOSE.LOST, "there was no handshake"));
  socket.onopen = () => {
    opened = true;
    heard = Date.now();
    timers.clear("answer");
    listen();
    hooks.opened();
  };
  socket.onmessage = ({ data }) => {
    heard = Date.now();
    timers.clear("answer");
    if (!timers.has("listen")) listen();
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame !== null && typeof frame === "object") hooks.frame(frame);
  };
  socket.onclose = ({ code, reason }) => end(code, reason);
  return {
    kind: "ws",
    send(frame) {
      if (over) return;
      waiting.push(JSON.stringify(frame));
      if (opened) flush();
    },
    check,
    close: quit,
  };
}
