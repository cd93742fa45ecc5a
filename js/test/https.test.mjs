// Cloudflare's HTTPS time against stand-ins with stamps of milliseconds and of whole seconds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf, eventually, near, relay, syncs, truth } from './support.mjs';

const trace = (stamp) => ({
    status: 200,
    body: `fl=1f1\nh=cloudflare.com\nts=${stamp}\nvisit_scheme=https\n`,
});

test('stamps of a millisecond give the time within the assumed 50 ms and the round trip', async (t) => {
    const { http } = await relay(t, () => trace((truth() / 1000).toFixed(3)));
    const clock = clockOf(t, { source: `${http}/cdn-cgi/trace` });
    assert.equal(clock.getStatus().server, http.slice('http://'.length));
    await syncs(clock);
    // On a busy machine the round trip, which is in the bound, can be long.
    for (let tries = 0; near(clock) >= 80 && tries < 20; tries++) await clock.sync();
    const bound = near(clock);
    assert.ok(bound >= 50 && bound < 80, `${bound}`);
    const { via, boundAssumed } = clock.getStatus();
    assert.deepEqual([via, boundAssumed], ['https', true]);
});

for (const [shown, stamp] of [
    ['without decimals', (s) => s],
    ['with decimals that are always zero', (s) => `${s}.000`],
]) {
    test(`whole seconds ${shown} give a reading at once, within a second, that narrows to the round trip`, async (t) => {
        const { http } = await relay(t, () => trace(stamp(Math.floor(truth() / 1000))));
        const clock = clockOf(t, { source: http });
        assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
        assert.ok(near(clock) > 400);
        const bounds = [];
        assert.ok(
            await eventually(() => bounds.push(near(clock)) && bounds.at(-1) < 100),
            bounds.at(-1),
        );
    });
}

for (const [what, stamp] of [
    ['is missing', undefined],
    ['is text', 'soon'],
    ['is of another millennium', '99999999999.000'],
    ['is negative', '-5.000'],
]) {
    test(`a stamp that ${what} is malformed`, async (t) => {
        const { http } = await relay(t, () =>
            stamp ? trace(stamp) : { status: 200, body: 'fl=1' },
        );
        const clock = clockOf(t, { source: http });
        assert.equal(await clock.sync(), false);
        assert.equal(clock.now(), null);
        assert.deepEqual(Object.keys(clock.getStatus().rejections), ['malformed']);
    });
}
