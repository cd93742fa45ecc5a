// Fake timers, as jest, vitest and sinon install them: all three use this package.

import FakeTimers from '@sinonjs/fake-timers';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    clockOf,
    faultyServer,
    honest,
    MODULE,
    relay,
    runNode,
    truth,
    underClocks,
} from './support.mjs';

const reply = (id, received) => ({ ...honest(received), request_id: id });

test('timers faked after the import do not reach the clock', async (t) => {
    const server = await faultyServer(t);
    const ran = runNode(
        `import FakeTimers from '${import.meta.resolve('@sinonjs/fake-timers')}';
         import clock from 'CLOCK';
         const real = performance.now.bind(performance);
         const origin = performance.timeOrigin;
         // As vitest does: without nextTick and microtasks Node itself has no network.
         const fakes = FakeTimers.install({ toNotFake: ['nextTick', 'queueMicrotask'] });
         const early = clock.at(performance.now());
         const synced = await clock.waitSynced({ timeout: 60_000 });
         const again = await clock.sync();
         let wrong = 0;
         let missing = 0;
         for (let i = 0; i < 1000; i++) {
             const before = origin + real();
             const reading = clock.read();
             const after = origin + real();
             if (reading === null) missing++;
             else if (reading.timeMs + reading.maxErrorMs < before ||
                      reading.timeMs - reading.maxErrorMs > after) wrong++;
         }
         const moment = clock.at(performance.now());
         const { lastError, epoch } = clock.getStatus();
         fakes.uninstall();
         const dated = clock.at(performance.now()) !== null;
         console.log(JSON.stringify(
             { early, synced, again, wrong, missing, moment, lastError, epoch, dated }))`,
        { PORTACODE_NTP_SERVER: server },
    );
    assert.deepEqual([ran.code, ran.err], [0, '']);
    const { early, moment, ...reported } = JSON.parse(ran.out);
    // A moment of the fake counter is none of the real one.
    assert.deepEqual([early, moment], [null, null]);
    assert.deepEqual(reported, {
        synced: true,
        again: true,
        wrong: 0,
        missing: 0,
        lastError: null,
        epoch: 1,
        dated: true,
    });
});

test('a clock that is made under fake timers starts, waits for them, and reads by them', async (t) => {
    const { http } = await relay(t, reply);
    const fakes = FakeTimers.install({
        toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'],
    });
    t.after(() => fakes.uninstall());
    const { NTPClock } = await import(`${MODULE}?under-fakes`);
    const clock = clockOf(t, { relay: http }, NTPClock);
    let synced = null;
    clock.waitSynced().then((answer) => (synced = answer));
    // Replies are real, and come between the turns of the fake clock.
    for (let turns = 0; synced === null && turns < 2000; turns++) {
        fakes.tick(5);
        await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(synced, true);
    const first = clock.now();
    assert.equal(clock.now(), first);
    fakes.tick(40);
    assert.ok(clock.now() >= first + 38, `${clock.now() - first}`);
});

test('with only Date standing still there is no reading, and the status says why', async (t) => {
    const { clocks, NTPClock } = await underClocks();
    const frozen = clocks.wall();
    clocks.wall = () => frozen;
    const clock = clockOf(t, { relay: (await relay(t, reply)).http }, NTPClock);
    await clock.sync();
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let i = 0; i < 50; i++) {
        assert.equal(clock.now(), null);
        await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const { isSynced, state, lastError, lastErrorCode, epoch, requests } = clock.getStatus();
    assert.deepEqual(
        [isSynced, state, lastErrorCode, epoch],
        [false, 'unsynchronised', 'wall_clock_stopped', 1],
    );
    assert.match(lastError, /Date\.now\(\) stands still/);
    assert.ok(requests <= 8, `${requests} requests`);
    // Once it goes on, so do the readings.
    clocks.wall = () => Math.floor(truth());
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
    const { timeMs, maxErrorMs } = clock.read();
    assert.ok(Math.abs(timeMs - truth()) <= maxErrorMs);
});

for (const stands of ['performance.now', 'Date.now', 'performance.now and Date.now']) {
    test(`with ${stands} standing still at the import nothing hangs`, () => {
        const stop = [];
        if (stands.includes('performance'))
            stop.push('const p = performance.now(); performance.now = () => p;');
        if (stands.includes('Date')) stop.push('const d = Date.now(); Date.now = () => d;');
        const ran = runNode(
            `${stop.join('')} const { NTPClock } = await import('CLOCK');
             const clock = new NTPClock({ source: '127.0.0.1:1' });
             await new Promise((resolve) => setTimeout(resolve, 200));
             console.log(clock.now(), clock.getStatus().isSynced); process.exit(0)`,
        );
        assert.deepEqual([ran.code, ran.err, ran.out], [0, '', 'null false\n']);
    });
}

test('timers that fire at once do not make it call itself for ever', () => {
    const ran = runNode(
        `const { setTimeout: real } = globalThis;
         let calls = 0;
         globalThis.setTimeout = (callback) => { if (calls++ < 100000) callback(); return 0; };
         const { NTPClock } = await import('CLOCK');
         const clock = new NTPClock({ source: '127.0.0.1:1' });
         await new Promise((resolve) => real(resolve, 200));
         console.log(clock.now(), calls < 100000); process.exit(0)`,
    );
    assert.deepEqual([ran.code, ran.err, ran.out], [0, '', 'null true\n']);
});
