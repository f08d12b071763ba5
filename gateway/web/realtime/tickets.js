import { RealtimeError, isFinal, refusalOf } from "./errors.js";

/** @import {Options} from "../realtime.js" */
/** @typedef {{ticket: string, ws_url: string, sse_url: string}} Ticket */

/** Asks the gateway for tickets: each is good for one connection, within a minute. */
export class Tickets {
  #url;
  #token;
  #within;
  #renew = false;

  /**
   * @param {Pick<Options, "api" | "org" | "token">} options
   * @param {number} within
   */
  constructor({ api, org, token }, within) {
    const base = api.replace(/\/+$/, "");
    this.#url = `${base}/v1/orgs/${encodeURIComponent(org)}/realtime/tickets`;
    this.#token = token;
    this.#within = within;
  }

  /** The session has ended: the next ticket is asked for with a token that is really new. */
  renew() {
    this.#renew = true;
  }

  /**
   * A ticket. Throws {final, error}.
   * @param {AbortSignal} signal
   * @returns {Promise<Ticket>}
   */
  async take(signal) {
    let renew = this.#renew;
    for (;;) {
      const token = await this.#ask(renew);
      if (signal.aborted) throw failure("client.closed", "It was closed.");
      const answer = await this.#post(token, signal);
      if (answer.ok) {
        this.#renew = false;
        try {
          return await answer.json();
        } catch (cause) {
          throw failure("client.answer_unreadable", "The ticket cannot be read.", cause);
        }
      }
      const error = await refusalOf(answer);
      if (answer.status !== 401 || renew) throw new Failure(error, isFinal(error));
      renew = true;
    }
  }

  /** @param {boolean} renew */
  async #ask(renew) {
    try {
      return await this.#token({ renew });
    } catch (cause) {
      // Whoever knows that there will be no token any more throws one of ours.
      if (cause instanceof RealtimeError) throw new Failure(cause, true);
      throw failure("client.token_failed", "There is no token.", cause);
    }
  }

  /**
   * @param {string} token
   * @param {AbortSignal} signal
   */
  async #post(token, signal) {
    const patience = new AbortController();
    const stop = () => patience.abort();
    const timer = setTimeout(stop, this.#within);
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await fetch(this.#url, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}` },
        cache: "no-store",
        credentials: "omit",
        signal: patience.signal,
      });
    } catch (cause) {
      throw failure("client.unreachable", "The server cannot be reached.", cause);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }
}

/** An error, and whether it is of no use to try again. */
export class Failure {
  /**
   * @param {RealtimeError} error
   * @param {boolean} final
   */
  constructor(error, final) {
    this.error = error;
    this.final = final;
  }
}

/**
 * @param {string} code
 * @param {string} message
 * @param {unknown} [cause]
 */
export function failure(code, message, cause) {
  return new Failure(new RealtimeError(code, message, { cause }), false);
}
