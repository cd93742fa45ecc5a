// What now() costs as a ratio to performance.now(), in turns, so that both meet the same machine.

const CALLS = 100_000;
const ROUNDS = 60;
const WARMING = 5;

/** Medians in nanoseconds a call, by name. */
export function measure(clock) {
    let sink = 0;
    const timed = (read) => {
        const began = performance.now();
        for (let i = 0; i < CALLS; i++) sink += read();
        return ((performance.now() - began) * 1e6) / CALLS;
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
    if (Number.isNaN(sink)) throw new Error('a reading was missing');
    const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
    return Object.fromEntries(
        Object.entries(times).map(([name, values]) => [name, median(values.slice(WARMING))]),
    );
}
