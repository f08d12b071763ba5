// The line that says how the page is connected.

import { element } from "./feed.js";

/** @import {State, StateDetail} from "../realtime.js" */

export class Status {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;

  /**
   * @param {HTMLElement} line
   * @param {HTMLElement} again the button that tries at once
   */
  constructor(line, again) {
    this.line = line;
    this.again = again;
  }

  /**
   * @param {State} state
   * @param {StateDetail} detail
   */
  show(state, { transport, retryIn, error }) {
    this.stop();
    this.again.hidden = state !== "waiting" && state !== "closed";
    this.line.title = error?.message ?? "";
    const by = transport === "sse" ? "event stream" : "WebSocket";
    if (state === "open") this.say(state, `Live, by ${by}`);
    else if (state === "connecting") this.say(state, "Connecting …");
    else if (state === "waiting") this.#count(retryIn ?? 0);
    else this.say(state, "Stopped");
  }

  /**
   * @param {string} state
   * @param {string} words
   */
  say(state, words) {
    this.line.dataset["state"] = state;
    if (this.line.textContent !== words) this.line.textContent = words;
  }

  /** Count no more. */
  stop() {
    clearInterval(this.#countdown);
  }

  /** @param {number} after */
  #count(after) {
    const until = Date.now() + after;
    const left = () => Math.max(1, Math.ceil((until - Date.now()) / 1000));
    this.say("waiting", "Not connected; trying again");
    const seconds = element("span", "left", ` in ${left()} s`);
    // Counted for the eye alone: to the ear it would be said each second.
    seconds.setAttribute("aria-hidden", "true");
    this.line.append(seconds);
    this.#countdown = setInterval(() => {
      seconds.textContent = ` in ${left()} s`;
    }, 500);
  }
}
