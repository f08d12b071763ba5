// What Grid8's notifier is held against: Socket.IO with its Redis adapter, as its documentation
// recommends. `node [--expose-gc] socketio_server.cjs`, with {port, redis, secret} on standard
// input; says {"listening": port} when it is ready. SIGUSR2 has it collect garbage, if it may,
// and say {"collected": bool}.
"use strict";
const fs = require("node:fs");
const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

async function main() {
  const spec = JSON.parse(fs.readFileSync(0, "utf8"));
  const publishing = createClient({ url: spec.redis });
  const subscribing = publishing.duplicate();
  await Promise.all([publishing.connect(), subscribing.connect()]);

  const server = createServer();
  const io = new Server(server, {
    adapter: createAdapter(publishing, subscribing),
    transports: ["websocket"],
  });
  // https://socket.io/docs/v4/performance-tuning/: the first request of each need not be kept.
  io.engine.on("connection", (raw) => {
    raw.request = null;
  });
  // A token is user.organization.proof.
  io.use((socket, next) => {
    const [user, org, given] = String(socket.handshake.auth.token).split(".");
    const proof = createHmac("sha256", spec.secret).update(`${user}.${org}`).digest();
    const shown = Buffer.from(given ?? "", "base64url");
    if (shown.length !== proof.length || !timingSafeEqual(shown, proof)) {
      next(new Error("who is that?"));
      return;
    }
    socket.data.user = user;
    socket.data.org = org;
    next();
  });
  io.on("connection", (socket) => {
    socket.join(`org:${socket.data.org}`);
    socket.emit("subscribed", "org");
  });

  process.on("SIGUSR2", () => {
    if (global.gc) global.gc();
    say({ collected: Boolean(global.gc) });
  });
  server.listen(spec.port, "127.0.0.1", () => say({ listening: spec.port }));
}

main();
