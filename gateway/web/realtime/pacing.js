/** @import {Timing} from "../realtime.js" */

/** @type {Timing} */
export const TIMING = {
  backoffBase: 500,
  backoffLimit: 30_000,
  steadyAfter: 5_000,
  pingAfter: 25_000,
  answerWithin: 10_000,
  streamSilence: 45_000,
  socketAgain: 300_000,
};

/** Pauses that grow, with full jitter: many clients that lose a server do not come back as one. */
export class Backoff {
  #tries = 0;
  #timing;

  /** @param {Timing} timing */
  constructor(timing) {
    this.#timing = timing;
  }

  /** Milliseconds until the next try. */
  next() {
    const { backoffBase, backoffLimit } = this.#timing;
    const ceiling = Math.min(backoffLimit, backoffBase * 2 ** Math.min(this.#tries, 30));
    this.#tries += 1;
    return Math.random() * ceiling;
  }

  reset() {
    this.#tries = 0;
  }
}

/** Timers by name, of which each name has one at most, and which all end together. */
export class Timers {
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #running = new Map();

  /**
   * @param {string} name
   * @param {number} after
   * @param {() => void} work
   */
  set(name, after, work) {
    this.clear(name);
    const timer = setTimeout(() => {
      this.#running.delete(name);
      work();
    }, after);
    this.#running.set(name, timer);
  }

  /** @param {string} name */
  has(name) {
    return this.#running.has(name);
  }

  /** @param {string} name */
  clear(name) {
    clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }

  end() {
    for (const timer of this.#running.values()) clearTimeout(timer);
    this.#running.clear();
  }
}
