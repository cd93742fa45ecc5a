// What now() costs as a ratio to performance.now(), in turns, so that both meet the same machine.

import { fileURLToPath } from 'node:url';

process.env.PORTACODE_NTP_SERVER = process.argv[2];
const path = fileURLToPath(
    new URL('../../portacode/static/js/utils/ntp-clock.js', import.meta.url),
);
const { default: clock } = await import(path);
if (!(await clock.waitSynced({ timeout: 5000 }))) throw new Error(clock.getStatus().lastError);

const CALLS = 100_000;
const ROUNDS = 60;
let sink = 0;

const timed = (read) => {
    const began = process.hrtime.bigint();
    for (let i = 0; i < CALLS; i++) sink += read();
    return Number(process.hrtime.bigint() - began) / CALLS;
};
const candidates = {
    'performance.now()': () => performance.now(),
    'Date.now()': () => Date.now(),
    'ntpClock.now()': () => clock.now(),
    'ntpClock.read()': () => clock.read().timeMs,
};
const times = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
    for (const [name, read] of Object.entries(candidates)) times[name].push(timed(read));
}
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const result = Object.fromEntries(
    Object.entries(times).map(([name, values]) => [name, median(values.slice(5))]),
);
console.log(JSON.stringify(result));
if (Number.isNaN(sink)) throw new Error('a reading was missing');
