// The JavaScript clock in Node over a relay: readings between two looks at the wall clock, as JSON.

import { createRequire } from "node:module";
import { join } from "node:path";

const [root, relay, samples] = process.argv.slice(2);
process.env.PORTACODE_NTP_SERVER = "127.0.0.1:1";
// Node 20 has none of its own.
globalThis.WebSocket ??= createRequire(join(root, "js/package.json"))(
    "ws",
).WebSocket;

const { NTPClock } = await import(
    join(root, "portacode/static/js/utils/ntp-clock.js")
);
const clock = new NTPClock({ relay });
const synced = await clock.sync();
const readings = [];
for (let i = 0; i < Number(samples) && synced; i++) {
    const before = Date.now();
    const reading = clock.read();
    // The wall clock cuts off.
    readings.push([
        before,
        reading?.timeMs,
        reading?.maxErrorMs,
        Date.now() + 1,
    ]);
    await new Promise((resolve) => setTimeout(resolve, 1));
}
const { server, via, stratum, lastError, rejections } = clock.getStatus();
const report = { synced, readings, server, via, stratum, lastError, rejections };
process.stdout.write(JSON.stringify(report), () => process.exit(0));
