// What has certainly passed, and waiting until something has.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { ManualClock, clockOf, honest, relay, syncs, truth } from './support.mjs';

const TIME = 1_759_639_032_000;

test('without a reading nothing is past or future, and with one its bound decides', () => {
    const clock = new ManualClock();
    const answers = (ms) => [
        clock.earliest(),
        clock.latest(),
        clock.isPast(ms),
        clock.isFuture(ms),
    ];
    assert.deepEqual(answers(TIME), [null, null, null, null]);
    clock.set(TIME, { maxErrorMs: 5 });
    assert.deepEqual(answers(TIME - 5.5), [TIME - 5, TIME + 5, true, false]);
    for (const within of [TIME - 5, TIME, TIME + 5]) {
        assert.deepEqual(answers(within), [TIME - 5, TIME + 5, false, false]);
    }
    assert.deepEqual(answers(TIME + 5.5), [TIME - 5, TIME + 5, false, true]);
});

test('what a double has no room for is not lost from the bound', () => {
    const clock = new ManualClock();
    for (const maxErrorMs of [0.0001, 1 / 3, 4.56789, 31.4159265]) {
        clock.set(TIME, { maxErrorMs });
        // Exact: both are near enough to the time for their difference to have no rounding.
        assert.ok(TIME - clock.earliest() >= maxErrorMs, `${maxErrorMs}`);
        assert.ok(clock.latest() - TIME >= maxErrorMs, `${maxErrorMs}`);
        assert.ok(clock.latest() - clock.earliest() < 2 * maxErrorMs + 0.002);
    }
});

test('a wait outlasts an error that grows and a clock that fails, and ends when the time has passed', async () => {
    const clock = new ManualClock();
    clock.set(TIME, { maxErrorMs: 5 });
    let reading = null;
    const waiting = clock.waitUntilPast(TIME, { timeout: 60_000 }).then((said) => (reading = said));
    const stillWaits = async (why) => {
        // Twice as long as it takes to look again.
        await sleep(110);
        assert.equal(reading, null, why);
    };
    clock.advance(5);
    await stillWaits('at its edge');
    clock.set(TIME + 6, { maxErrorMs: 50 });
    await stillWaits('the error grew');
    clock.fail();
    await stillWaits('there is no reading');
    clock.set(TIME - 1);
    await stillWaits('an epoch began earlier');
    clock.set(TIME + 3, { maxErrorMs: 2 });
    await waiting;
    assert.equal(reading.timeMs - reading.maxErrorMs, TIME + 1);
    assert.equal((await clock.waitUntilPast(TIME, { timeout: 0 })).timeMs, TIME + 3);
});

test('a wait ends at its timeout, at once where it would be in vain, and when it is aborted', async () => {
    const clock = new ManualClock();
    const timeout = { name: 'TimeoutError' };
    await assert.rejects(clock.waitUntilPast(TIME, { timeout: 60 }), {
        ...timeout,
        message: /the clock is not synchronised/,
    });
    clock.set(TIME, { maxErrorMs: 5 });
    const began = performance.now();
    await assert.rejects(clock.waitUntilPast(TIME, { timeout: 60 }), timeout);
    assert.ok(performance.now() - began >= 59, 'timers may be a millisecond early');
    await assert.rejects(clock.waitUntilPast(TIME + 86_400_000, { timeout: 3_600_000 }), {
        ...timeout,
        message: /is at least 86399995 ms ahead/,
    });
    const abort = new AbortController();
    const waiting = clock.waitUntilPast(TIME, { signal: abort.signal });
    abort.abort(new Error('never mind'));
    await assert.rejects(waiting, /never mind/);
    await assert.rejects(clock.waitUntilPast(TIME, { signal: abort.signal }), /never mind/);
    for (const wrong of [NaN, Infinity, undefined, '1']) {
        await assert.rejects(clock.waitUntilPast(wrong), TypeError);
    }
});

test('no wait of many returns before its time has passed by the truth', async (t) => {
    const reply = (id, received) => ({ ...honest(received), request_id: id });
    const clock = clockOf(t, { relay: (await relay(t, reply)).http });
    await syncs(clock);
    const commit = async (of) => {
        const time = clock.latest() + (of % 7);
        const reading = await clock.waitUntilPast(time, { timeout: 30_000 });
        assert.ok(truth() > time, 'before its time');
        assert.ok(reading.timeMs - reading.maxErrorMs > time);
    };
    await Promise.all(Array.from({ length: 200 }, (_, of) => commit(of)));
});
