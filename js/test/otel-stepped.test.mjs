// A system clock that is set back, as the SDK and the clock see that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { glue } from './otel-glue.mjs';
import { clockOf, honest, pause, relay, underClocks } from './support.mjs';

const { Dates } = await glue('dates.js');

test("moments keep their order across a step of the system's clock, though the clock is corrected then", async (t) => {
    let wrongMs = 0;
    // What the server is wrong by at first.
    let aheadMs = 20;
    const now = performance.now.bind(performance);
    const began = performance.timeOrigin;
    const trueMs = () => began + now();
    const { clocks, NTPClock } = await underClocks();
    clocks.wall = () => Math.floor(trueMs() + wrongMs);
    t.mock.method(Date, 'now', () => clocks.wall());
    const { http } = await relay(t, (id) => ({
        request_id: id,
        ...honest(trueMs() + aheadMs),
        server_send_time: trueMs() + aheadMs,
    }));
    const clock = clockOf(t, { relay: http }, NTPClock);
    const dates = new Dates(clock);
    t.after(() => dates.close());
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);

    const moments = [];
    const gather = () => {
        for (const from = now(); now() - from < 5; ) moments.push(now());
        return moments.length;
    };
    gather();
    dates.sample();
    gather();
    aheadMs = 0;
    wrongMs = -2000;
    gather();
    const honestFrom = gather();
    dates.sample();
    gather();
    await pause(20);
    gather();
    await clock.sync();
    await pause(20);
    gather();
    dates.sample();

    const seen = moments.map((ms) => dates.moment(ms));
    assert.ok(seen.every((reading) => reading !== null));
    seen.slice(1).forEach(({ timeMs }, place) => {
        const back = seen[place].timeMs - timeMs;
        assert.ok(back <= 0, `${back} ms back at ${place} of ${seen.length}`);
    });
    seen.slice(honestFrom).forEach(({ timeMs, maxErrorMs }, place) => {
        const offMs = Math.abs(timeMs - began - moments[honestFrom + place]);
        assert.ok(offMs <= maxErrorMs + 0.001, `${offMs} ms off, ${maxErrorMs} ms stated`);
    });
});
