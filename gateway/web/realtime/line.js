// What a connection is to the rest: the same, whatever carries it.

/** @import {CloudEvent, Progress} from "../realtime.js" */
/** @import {Failure} from "./tickets.js" */

/**
 * What the server said. A stream does not say which of its channels an event is on: then
 * `channels` are all that it may be on.
 * @typedef {{
 *   op: string, channel?: string, channels?: string[], cursor?: string, event?: CloudEvent,
 *   code?: string, detail?: string, snapshot?: unknown, progress?: Progress,
 *   members?: unknown[], joined?: unknown[], left?: unknown[], total?: number,
 *   [more: string]: unknown,
 * }} Frame
 */

/**
 * Why a connection has ended. `code` is a WebSocket's, or what a stream said in its stead.
 * @typedef {{
 *   code: number, reason: string, opened: boolean, refusal?: Failure, channels?: string[],
 *   least?: number,
 * }} Ending
 *
 * `refusal` of a stream with these channels; `least` milliseconds the server wants to wait.
 */

/** @typedef {{opened(): void, frame(frame: Frame): void, ended(ending: Ending): void}} Hooks */

/**
 * @typedef {{
 *   kind: "ws" | "sse",
 *   send(frame: Record<string, unknown>): void,
 *   check(): void,
 *   close(): void,
 * }} Line
 */

export const CLOSE = {
  LOST: 1006,
  SESSION_ENDED: 4001,
  MEMBERSHIP_ENDED: 4003,
  TOO_SLOW: 4008,
  FLOOD: 4029,
};

export {};
