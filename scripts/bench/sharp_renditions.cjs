// Renditions as programs with sharp make them: `node sharp_renditions.cjs`, with
// {modules, photos, into, sizes, webp, jpeg, atOnce, way} on standard input. Answers with the
// seconds it took, of the processor too, what was made, and the most memory the process ever
// held, in KiB.
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const spec = JSON.parse(fs.readFileSync(0, "utf8"));
const sharp = require(path.join(spec.modules, "sharp"));

const FORMATS = [["webp", "webp"], ["jpeg", "jpeg"]];

// Each output for itself, from the file.
async function each(photo, folder) {
  const made = [];
  for (const width of spec.sizes) {
    for (const [format, method] of FORMATS) {
      const file = path.join(folder, `${width}.${format}`);
      const { width: w, height: h } = await sharp(photo)
        .rotate()
        .resize(width, null, { withoutEnlargement: true })
        [method](spec[format])
        .toFile(file);
      made.push([`${width}.${format}`, w, h]);
    }
  }
  return made;
}

// Decoded once, to the largest size; the others from its pixels.
async function once(photo, folder) {
  const made = [];
  const largest = Math.max(...spec.sizes);
  const { data, info } = await sharp(photo)
    .rotate()
    .resize(largest, null, { withoutEnlargement: true })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const raw = { width: info.width, height: info.height, channels: info.channels };
  for (const width of spec.sizes) {
    const sized = sharp(data, { raw }).resize(width, null, { withoutEnlargement: true });
    for (const [format, method] of FORMATS) {
      const file = path.join(folder, `${width}.${format}`);
      const { width: w, height: h } = await sized.clone()[method](spec[format]).toFile(file);
      made.push([`${width}.${format}`, w, h]);
    }
  }
  return made;
}

async function main() {
  const render = spec.way === "once" ? once : each;
  const left = [...spec.photos.entries()];
  const made = [];
  const before = process.cpuUsage();
  const started = process.hrtime.bigint();
  async function lane() {
    for (let next = left.shift(); next; next = left.shift()) {
      const [number, photo] = next;
      const folder = path.join(spec.into, String(number));
      fs.mkdirSync(folder);
      made[number] = await render(photo, folder);
    }
  }
  await Promise.all(Array.from({ length: spec.atOnce }, lane));
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const used = process.cpuUsage(before);
  const cpu = (used.user + used.system) / 1e6;
  const status = fs.readFileSync("/proc/self/status", "utf8");
  const kib = Number(/VmHWM:\s+(\d+)/.exec(status)[1]);
  process.stdout.write(JSON.stringify({ seconds, cpu, made, kib }));
}

main();
