// Publishes events through @socket.io/redis-emitter, as Socket.IO's documentation has it for
// processes that are no Socket.IO servers. Asked and answering as publish_events.py does, with
// {redis, event, room} first.
"use strict";
const readline = require("node:readline");
const { setTimeout: sleep } = require("node:timers/promises");
const { Emitter } = require("@socket.io/redis-emitter");
const { createClient } = require("redis");

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const milliseconds = () => Number(process.hrtime.bigint()) / 1e6;

async function main() {
  let emitter, event, room;
  let made = 0;

  function publish(count) {
    for (let each = 0; each < count; each++) {
      const mark =
        String(made).padStart(10, "0") + String(process.hrtime.bigint()).padStart(20, "0");
      const id = `evt_${String(made).padStart(26, "0")}`;
      const time = new Date().toISOString();
      emitter.to(room).emit("event", { ...event, id, time, data: { ...event.data, mark } });
      made++;
    }
  }

  async function atRate(rate, count) {
    const started = milliseconds();
    let late = 0;
    for (let index = 0; index < count; index++) {
      const due = started + (index * 1000) / rate;
      const early = due - milliseconds();
      if (early > 0) await sleep(early);
      late = Math.max(late, milliseconds() - due);
      publish(1);
    }
    return late;
  }

  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    if (asked.redis) {
      const redis = createClient({ url: asked.redis });
      await redis.connect();
      emitter = new Emitter(redis);
      ({ event, room } = asked);
      say({ clock: String(process.hrtime.bigint()) });
    } else if (asked.allow !== undefined) {
      publish(asked.allow - made);
    } else {
      say({ late_ms: await atRate(asked.rate, asked.events) });
    }
  }
  process.exit(0);
}

main();
