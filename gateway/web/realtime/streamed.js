import { comparable, joined } from "./cursors.js";

/** @import {Channel} from "./channel.js" */

/**
 * What to ask an event stream of these channels for. It has one cursor for all of them, the
 * earliest: so each is told what it has had before that, and does not say again.
 * @param {Channel[]} channels
 * @returns {{channels: string[], watched: string[], since: string | null}}
 */
export function streamOf(channels) {
  const first = channels.find(({ cursor }) => cursor && comparable(cursor, cursor))?.cursor;
  for (const channel of channels) {
    const isLost = channel.cursor && !(first && comparable(channel.cursor, first));
    if (isLost) channel.hear({ op: "reset" });
  }
  const cursors = channels.flatMap(({ cursor }) => (cursor ? [cursor] : []));
  const since = joined(cursors, "earliest");
  const latest = joined(cursors, "latest");
  for (const channel of channels) {
    const floor = channel.cursor ?? latest;
    channel.floor = floor === since ? null : floor;
    channel.isStreamed = true;
    channel.isAsked = channel.name !== "me" && channel.watchers.size > 0;
  }
  const watched = channels.filter(({ isAsked }) => isAsked);
  return { channels: channels.map(nameOf), watched: watched.map(nameOf), since };
}

/** @param {Channel} channel */
function nameOf({ name }) {
  return name;
}
