// What a connection is to the rest: the same, whatever carries it.

/** @import {CloudEvent, Progress} from "../realtime.js" */

/**
 * What the server said. `cursor` of a heartbeat is one of all channels.
 * @typedef {{
 *   op: string, channel?: string, cursor?: string, event?: CloudEvent, recovered?: boolean,
 *   code?: string, detail?: string, snapshot?: unknown, progress?: Progress,
 *   members?: unknown[], joined?: unknown[], left?: unknown[], total?: number,
 *   [more: string]: unknown,
 * }} Frame
 */

/**
 * Why a connection has ended: `code` is a WebSocket's, or what a stream said in its stead.
 * @typedef {{code: number, reason: string, opened: boolean}} Ending
 */

/**
 * @typedef {{
 *   opened(): void,
 *   interrupted(reason: string): void,
 *   frame(frame: Frame): void,
 *   ended(ending: Ending): void,
 * }} Hooks
 */

/**
 * @typedef {{
 *   kind: "ws" | "sse",
 *   send(frame: Record<string, unknown>): void,
 *   check(): void,
 *   close(): void,
 * }} Line
 */

export const CLOSE = {
  NOTHING_LEFT: 1000,
  GOING_AWAY: 1001,
  LOST: 1006,
  TRY_AGAIN_LATER: 1013,
  SESSION_ENDED: 4001,
  MEMBERSHIP_ENDED: 4003,
  TOO_SLOW: 4008,
  FLOOD: 4029,
};

export {};
