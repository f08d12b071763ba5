/** @import {Problem} from "../realtime.js" */

/** Why there is no connection. */
export class RealtimeError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{problem?: Problem | null, retryAfter?: number | null, cause?: unknown}} [more]
   */
  constructor(code, message, { problem = null, retryAfter = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "RealtimeError";
    /** @readonly */
    this.code = code;
    /** @readonly */
    this.problem = problem;
    /** @readonly */
    this.retryAfter = retryAfter;
  }
}

/**
 * What an answer that is no success says.
 * @param {Response} answer
 * @returns {Promise<RealtimeError>}
 */
export async function refusalOf(answer) {
  /** @type {Partial<Problem>} */
  let told = {};
  try {
    const body = await answer.json();
    if (body !== null && typeof body === "object") told = body;
  } catch {
    // A proxy's page, perhaps: the status says enough.
  }
  const { status } = answer;
  const code = typeof told.code === "string" ? told.code : "client.refused";
  const problem = { ...told, status, code };
  const message = told.detail || told.title || `The server answered ${status}.`;
  return new RealtimeError(code, message, {
    problem,
    retryAfter: secondsOf(answer.headers.get("Retry-After")),
  });
}

/**
 * Whether it is of no use to ask again for the same.
 * @param {RealtimeError} error
 */
export function isFinal(error) {
  const status = error.problem?.status ?? 0;
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

/** @param {string | null} text */
function secondsOf(text) {
  if (text === null) return null;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - Date.now()) / 1000));
}

/**
 * Call what somebody else wrote; what it throws is told to the page, and breaks nothing here.
 * @template {unknown[]} Arguments
 * @param {((...given: Arguments) => unknown) | undefined} callback
 * @param {Arguments} given
 */
export function call(callback, ...given) {
  if (callback === undefined) return;
  try {
    callback(...given);
  } catch (error) {
    if (typeof reportError === "function") reportError(error);
    else console.error(error);
  }
}
