// What belongs to no carrier: the clock's face, sleep, the clock set by hand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    ManualClock,
    NTPClock,
    clockOf,
    eventually,
    faultyServer,
    gathered,
    honest,
    relay,
    runNode,
    syncs,
    truth,
    underClocks,
} from './support.mjs';

const reply = (id, received) => ({ ...honest(received), request_id: id });

test('while not synchronised every answer is null', (t) => {
    const clock = clockOf(t, { source: '127.0.0.1:1' });
    assert.deepEqual(
        [clock.now(), clock.nowISO(), clock.read(), clock.at(0)],
        [null, null, null, null],
    );
    const { isSynced, offset, lastSync, server } = clock.getStatus();
    assert.deepEqual([isSynced, offset, lastSync, server], [false, null, null, '127.0.0.1:1']);
});

test('a stamp has a counter, its name and the reading of one moment, also without time', async (t) => {
    const clock = clockOf(t, { source: '127.0.0.1:1' });
    const [before, shown, after] = [clock.stamp(), performance.now(), clock.stamp()];
    assert.equal(before.reading, null);
    assert.match(before.counter, /^[0-9a-f]{16}~(50|500)$/);
    assert.deepEqual([after.counter, clock.getStatus().counterId], Array(2).fill(before.counter));
    const moments = [before.counterNs, Math.floor(shown * 1e6), after.counterNs].map(BigInt);
    assert.ok(moments[0] <= moments[1] && moments[1] <= moments[2], `${moments}`);
    assert.ok(Number.isInteger(before.resolutionNs) && before.resolutionNs > 0);
    assert.notEqual(clockOf(t, { source: '127.0.0.1:1' }).stamp().counter, before.counter);

    const synced = clockOf(t, { relay: (await relay(t, reply)).http });
    await syncs(synced);
    const { counterNs, reading } = synced.stamp();
    const dated = synced.at(Number(counterNs) / 1e6);
    // The counter is cut off to whole nanoseconds, a double of a date to 1/4 us.
    assert.ok(Math.abs(dated.timeMs - reading.timeMs) < 0.001, `${dated.timeMs} ${reading.timeMs}`);
});

test('a counter that lost time has another name from the next stamp on, and one alone', async (t) => {
    const { clocks, NTPClock: Class } = await underClocks();
    for (const synced of [true, false]) {
        const options = synced
            ? { relay: (await relay(t, reply)).http }
            : { source: '127.0.0.1:1' };
        const clock = clockOf(t, options, Class);
        assert.equal(await clock.sync(), synced);
        const before = clock.stamp();
        clocks.wall = () => Math.floor(truth()) + (synced ? 3_600_000 : 0);
        const after = clock.stamp();
        assert.notEqual(after.counter, before.counter);
        assert.equal(after.reading, null, 'nor is there a reading until the next round');
        assert.equal(clock.stamp().counter, after.counter);
        assert.equal(clock.getStatus().counterId, after.counter);
    }
});

test('a counter that lost time has another name also where WebAssembly is forbidden', async (t) => {
    const real = WebAssembly.Module;
    WebAssembly.Module = class {
        constructor() {
            throw new WebAssembly.CompileError('blocked by CSP');
        }
    };
    t.after(() => (WebAssembly.Module = real));
    const { clocks, NTPClock: Class } = await underClocks();
    const [local, wall] = [performance.now(), Math.floor(truth())];
    let [passed, slept] = [0, 0];
    clocks.local = () => local + passed;
    clocks.wall = () => wall + passed * 1.0005 + slept;
    const clock = clockOf(t, { source: '127.0.0.1:1' }, Class);
    assert.equal(await clock.sync(), false);
    assert.equal(clock.getStatus().lastErrorCode, 'wasm_forbidden');
    const before = clock.stamp().counter;
    passed = 86_400_000;
    assert.equal(clock.stamp().counter, before, 'steering is not sleep');
    for (const step of [60_000, -60_000]) {
        const last = clock.stamp().counter;
        slept += step;
        const after = clock.stamp().counter;
        assert.notEqual(after, last);
        assert.equal(clock.stamp().counter, after);
        assert.equal(clock.getStatus().counterId, after);
    }
});

test('a clock set by hand has a counter that goes on as it is advanced', () => {
    const clock = new ManualClock();
    const before = clock.stamp();
    assert.match(before.counter, /^[0-9a-f]{16}$/);
    assert.deepEqual([before.counterNs, before.reading], ['0', null]);
    clock.advance(2.5);
    clock.set(1_759_639_032_768, { maxErrorMs: 1 });
    clock.advance(0.5);
    const { counterNs, counter, reading } = clock.stamp();
    assert.deepEqual([counterNs, counter], ['3000000', before.counter]);
    assert.deepEqual(reading, clock.read());
    assert.equal(clock.getStatus().counterId, counter);
    assert.notEqual(new ManualClock().stamp().counter, counter);
});

test('waiting ends with the limit or the signal', async (t) => {
    const clock = clockOf(t, { source: '127.0.0.1:1' });
    assert.equal(await clock.waitSynced({ timeout: 20 }), false);
    const aborting = new AbortController();
    const waiting = clock.waitSynced({ signal: aborting.signal });
    aborting.abort();
    assert.equal(await waiting, false);
    assert.equal(await clock.waitSynced({ signal: aborting.signal }), false);
});

test('a configuration that names no way, or two, is refused', (t) => {
    const clock = clockOf(t, { source: '127.0.0.1:1' });
    for (const [options, reason] of [
        [{}, /one of them/],
        [{ relay: 'ws://x', source: 'y' }, /one of them/],
        [undefined, /one of them/],
        [{ relay: 'ftp://x' }, /begins with ws:, wss:, http: or https:/],
        [{ relay: '/relative' }, /is not the URL of a relay/],
    ]) {
        assert.throws(
            () => clock.configure(options),
            (error) => {
                assert.ok(error instanceof TypeError);
                assert.match(error.message, reason);
                return true;
            },
        );
    }
    assert.throws(() => clock.setClockSyncSender(7), TypeError);
    assert.throws(() => clock.onClockSyncFailure(7), TypeError);
});

test('readings never decrease within an epoch, and a step of the wall clock ends it', async (t) => {
    const { clocks, NTPClock: Class } = await underClocks();
    const clock = clockOf(t, { relay: (await relay(t, reply)).http }, Class);
    const epochs = gathered(clock, 'epoch');
    await syncs(clock);
    const before = clock.read();
    for (let i = 0, last = 0; i < 100_000; i++) {
        const now = clock.now();
        assert.ok(now >= last);
        last = now;
    }
    clocks.wall = () => Math.floor(truth()) + 3_600_000;
    assert.equal(clock.now(), null);
    assert.equal(clock.at(performance.now()), null);
    const { isSynced, state, lastError, lastErrorCode } = clock.getStatus();
    assert.deepEqual([isSynced, state, lastErrorCode], [false, 'unsynchronised', 'suspended']);
    assert.match(lastError, /the machine slept or its wall clock was set/);
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
    const after = clock.read();
    assert.ok(after.epoch > before.epoch);
    assert.ok(Math.abs(after.timeMs - truth()) <= after.maxErrorMs);
    assert.equal(clock.getStatus().lastErrorCode, null);
    const reason = 'the machine slept or its wall clock was set';
    assert.ok(await eventually(() => epochs.length > 0));
    assert.deepEqual(epochs, [{ epoch: after.epoch, reason, code: 'suspend' }]);
});

test('a process stopped past the end of its readings has no reading and says why', async (t) => {
    const { clocks, NTPClock: Class } = await underClocks();
    let passed = 0;
    const { http } = await relay(t, (id, received) => {
        const seen = reply(id, received);
        for (const key of ['server_receive_time', 'server_send_time', 'server_time'])
            seen[key] += passed;
        return seen;
    });
    const clock = clockOf(t, { relay: http }, Class);
    await syncs(clock);
    const { epoch } = clock.read();
    // As after SIGSTOP and SIGCONT: both clocks have gone on, and no timer has fired yet.
    const { wall, local } = clocks;
    passed = 20 * 60_000;
    Object.assign(clocks, { wall: () => wall() + passed, local: () => local() + passed });
    const { isSynced, state, lastError, lastErrorCode } = clock.getStatus();
    assert.deepEqual([isSynced, lastErrorCode], [false, 'expired']);
    assert.notEqual(state, 'synchronised');
    assert.match(lastError, /readings expired/);
    assert.equal(clock.now(), null);
    // A look wakes it.
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
    assert.equal(clock.read().epoch, epoch);
    assert.equal(clock.getStatus().state, 'synchronised');
});

test('a status is of one moment', async (t) => {
    const { clocks, NTPClock: Class } = await underClocks();
    const clock = clockOf(t, { relay: (await relay(t, reply)).http }, Class);
    await syncs(clock);
    // Each look is 3 ms after the one before: two looks at one clock would differ by that.
    const { wall, local } = clocks;
    let looks = 0;
    const [began, shown] = [local(), wall()];
    Object.assign(clocks, {
        wall: () => shown + 3 * looks,
        local: () => began + 3 * ++looks,
    });
    const [before, status] = [clock.read(), clock.getStatus()];
    assert.ok(Math.abs(status.offset - (before.timeMs - shown - 3)) < 1, `${status.offset}`);
});

test('a reader held up between the two counters still reads, in the same epoch', async (t) => {
    const { clocks, NTPClock: Class } = await underClocks();
    const clock = clockOf(t, { relay: (await relay(t, reply)).http }, Class);
    await syncs(clock);
    const { epoch } = clock.read();
    const real = clocks.wall;
    for (const read of [() => clock.read(), () => clock.now(), () => clock.at(0)]) {
        // The thread is gone for 100 ms before the wall clock is looked at.
        clocks.wall = () => {
            clocks.wall = real;
            return real() + 100;
        };
        assert.notEqual(read(), null);
    }
    assert.equal(clock.read().epoch, epoch);
});

test('a clock that is stopped asks no more by itself, only on command', async (t) => {
    let asked = 0;
    const { http } = await relay(t, (id, received) => (asked++, reply(id, received)));
    const clock = clockOf(t, { relay: http });
    clock.stopAutoSync();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(asked, 0);
    await syncs(clock);
    assert.ok(asked > 1);
});

test('sync, fail and epoch are events', async (t) => {
    const clock = clockOf(t, { relay: (await relay(t, reply)).http });
    const synced = new Promise((resolve) =>
        clock.addEventListener('sync', resolve, { once: true }),
    );
    const { detail } = await synced;
    assert.ok(Math.abs(detail.timeMs - truth()) < 1000);
    assert.equal(detail.recovered, true);
});

test('a listener that takes its time holds up nobody who waits', async (t) => {
    const clock = clockOf(t, { relay: (await relay(t, reply)).http });
    const busy = (ms) => {
        for (const ends = performance.now() + ms; performance.now() < ends; );
    };
    let blocked = 0;
    for (const type of ['reading', 'sync']) {
        clock.addEventListener(type, () => (blocked++, busy(300)));
    }
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
    assert.equal(blocked, 0);
    assert.ok(await eventually(() => blocked >= 1));
    await syncs(clock);
    const before = blocked;
    assert.ok(await eventually(() => blocked > before || blocked >= 2));
});

test('a listener that stops the event or throws keeps nobody waiting', async (t) => {
    const ran = runNode(
        `const { NTPClock } = await import('CLOCK');
         const thrown = [];
         process.on('uncaughtException', ({ message }) => thrown.push(message));
         const clock = new NTPClock({ source: '${await faultyServer(t)}' });
         clock.addEventListener('reading', (event) => event.stopImmediatePropagation());
         const listener = ({ type }) => { throw new Error(type); };
         for (const type of ['reading', 'sync']) clock.addEventListener(type, listener);
         const answers = [await clock.waitSynced({ timeout: 60_000 }), await clock.sync()];
         // The event comes at the round's end, for which sync() does not wait.
         for (const end = Date.now() + 60_000; !thrown.length && Date.now() < end; )
             await new Promise((resolve) => setTimeout(resolve, 10));
         console.log(JSON.stringify([answers, [...new Set(thrown)]]))`,
    );
    assert.deepEqual([ran.code, ran.err], [0, '']);
    assert.deepEqual(JSON.parse(ran.out), [[true, true], ['sync']]);
});

test('another way to the time begins another epoch, and says so', async (t) => {
    const clock = clockOf(t, { relay: (await relay(t, reply)).http });
    await syncs(clock);
    const other = await relay(t, (id, received) => ({ ...reply(id, received), server: 'other' }));
    const epochs = gathered(clock, 'epoch');
    clock.configure({ relay: other.http });
    assert.equal(clock.now(), null);
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
    assert.deepEqual([clock.read().epoch, clock.getStatus().server], [2, 'other']);
    const reason = 'another way to the time was configured';
    assert.deepEqual(epochs, [{ epoch: 2, reason, code: 'configured' }]);
});

test('the way that is in use, configured again, changes nothing', async (t) => {
    let asked = 0;
    const { http } = await relay(t, (id, received) => (asked++, reply(id, received)));
    const clock = clockOf(t, { relay: http });
    await syncs(clock);
    const [before, seen, requests] = [clock.read(), gathered(clock, 'epoch', 'fail'), asked];
    for (const same of [http, `${http}/`, `${http}/#part`]) clock.configure({ relay: same });
    const after = clock.read();
    assert.equal(after.epoch, before.epoch);
    assert.ok(after.timeMs >= before.timeMs);
    assert.deepEqual([seen, asked], [[], requests]);
});

test('a clock set by hand tells what it was set to', async () => {
    const clock = new ManualClock();
    assert.equal(clock.now(), null);
    const waiting = clock.waitSynced();
    clock.set(1_759_639_032_768.4451, { maxErrorMs: 2 });
    assert.equal(await waiting, true);
    assert.equal(clock.nowISO(), '2025-10-05T04:37:12.768445+00:00');
    clock.advance(0.5);
    assert.deepEqual(clock.read(), {
        timeMs: 1_759_639_032_768.9451,
        maxErrorMs: 2,
        estErrorMs: 0,
        epoch: 1,
    });
    clock.set(0);
    assert.deepEqual([clock.read().epoch, clock.nowISO()], [2, '1970-01-01T00:00:00.000000+00:00']);
    clock.fail();
    assert.equal(clock.now(), null);
    const { lastError, lastErrorCode } = clock.getStatus();
    assert.deepEqual([lastError, lastErrorCode], ['failed by hand', 'by_hand']);
    assert.throws(() => clock.set(NaN), /NaN is not a number of milliseconds/);
    assert.throws(() => clock.set(1, { maxErrorMs: -1 }), RangeError);
    assert.throws(() => clock.advance(-1), RangeError);
});

test('the clock set by hand has all that a clock has', () => {
    const names = (prototype) =>
        Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');
    const carriers = ['configure', 'setClockSyncSender', 'handleServerSync', 'onClockSyncFailure'];
    const missing = names(NTPClock.prototype).filter(
        (name) => !names(ManualClock.prototype).includes(name),
    );
    assert.deepEqual(missing, carriers);
});
