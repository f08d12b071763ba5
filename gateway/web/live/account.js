// Who is signed in: with a session of their own, or with a token that was pasted.

import { RealtimeError } from "../realtime.js";

/** Seconds before its end at which an access token is not used any more. */
const MARGIN = 60;

/** The API said no, or nothing. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, detail?: string, title?: string}} problem
   * @param {string | null} [retryAfter]
   */
  constructor(status, problem, retryAfter = null) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.retryAfter = retryAfter;
  }
}

/** @typedef {{access_token: string, expires_in: number, refresh_token: string, session_id: string}} Session */

export class Account {
  #token = "";
  #until = Infinity;
  /** @type {Session | null} */
  #session = null;
  /** @type {Promise<void> | null} */
  #refreshing = null;

  /**
   * @param {string} email
   * @param {string} password
   * @param {string} otp
   */
  async signIn(email, password, otp) {
    const more = otp ? { otp: otp.replaceAll(" ", "") } : {};
    this.#keep(await send("POST", "/v1/auth/sessions", { email, password, ...more }));
  }

  /** @param {string} token */
  paste(token) {
    this.#token = token;
  }

  /** End the session, if it is one of this page. */
  leave() {
    if (!this.#session) return;
    const path = `/v1/auth/sessions/${encodeURIComponent(this.#session.session_id)}`;
    const headers = { Authorization: `Bearer ${this.#token}` };
    // It must outlive the page; what comes of it, nobody is there to hear.
    fetch(path, { method: "DELETE", headers, keepalive: true }).catch(() => {});
    this.#session = null;
    this.#token = "";
  }

  /**
   * A token that is good for now, as realtime.js wants it.
   * @param {{renew: boolean}} want
   */
  async token({ renew }) {
    if (this.#session && (renew || Date.now() > this.#until)) {
      this.#refreshing ??= this.#refresh(this.#session).finally(() => {
        this.#refreshing = null;
      });
      await this.#refreshing;
    } else if (renew) {
      throw new RealtimeError("live.token_refused", "The token is not accepted any more.");
    }
    return this.#token;
  }

  /**
   * Ask the API.
   * @param {string} path
   * @returns {Promise<any>}
   */
  async get(path) {
    return send("GET", path, null, await this.token({ renew: false }));
  }

  /** @param {Session} session */
  async #refresh({ refresh_token }) {
    try {
      this.#keep(await send("POST", "/v1/auth/sessions/refresh", { refresh_token }));
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      throw new RealtimeError("live.session_ended", "Your session has ended.");
    }
  }

  /** @param {Session} session */
  #keep(session) {
    this.#session = session;
    this.#token = session.access_token;
    this.#until = Date.now() + (session.expires_in - MARGIN) * 1000;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 * @param {string} [token]
 * @returns {Promise<any>}
 */
async function send(method, path, body, token) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers["Authorization"] = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  } catch {
    throw new Refused(0, { detail: "The server cannot be reached. Please try again." });
  }
  const view = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, view, answer.headers.get("Retry-After"));
  return view;
}
