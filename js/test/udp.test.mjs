// Node against NTP servers by UDP: the real chrony, and the project's own with faults.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    chrony,
    clockOf,
    faultyServer,
    freeUdpPort,
    has,
    NTPClock,
    runNode,
    truth,
} from './support.mjs';

const skip = has('chronyd', 'apt-get install chrony');

test(
    'against chrony the first reading is there within a moment and every one within its error',
    { skip },
    async (t) => {
        const clock = clockOf(t, { source: await chrony(t) });
        const began = performance.now();
        assert.equal(clock.now(), null);
        assert.equal(await clock.waitSynced({ timeout: 3000 }), true);
        assert.ok(performance.now() - began < 1000);
        const errors = [];
        for (const ends = performance.now() + 2000; performance.now() < ends; ) {
            const before = Date.now();
            const { timeMs, maxErrorMs, estErrorMs } = clock.read();
            const after = Date.now() + 1;
            assert.ok(timeMs + maxErrorMs >= before && timeMs - maxErrorMs <= after);
            assert.ok(estErrorMs <= maxErrorMs && maxErrorMs < 10);
            errors.push(Math.abs(timeMs - truth()));
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
        assert.equal(clock.getStatus().via, 'udp');
    },
);

test('the status has all that the specification names', { skip }, async (t) => {
    const server = await chrony(t);
    const clock = clockOf(t, { source: server });
    assert.equal(await clock.sync(), true);
    const status = clock.getStatus();
    assert.equal(status.server, server);
    assert.equal(status.isSynced, true);
    assert.ok(Math.abs(status.offset) < 100);
    const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/;
    assert.match(status.lastSync, iso);
    assert.match(status.nextSync, iso);
    assert.match(clock.nowISO(), iso);
    assert.ok(status.timeSinceSync >= 0 && status.timeSinceSync < 5000);
    for (const key of ['maxErrorMs', 'estErrorMs', 'delayMs', 'driftPpm']) {
        assert.equal(typeof status[key], 'number', key);
    }
    assert.deepEqual(
        [
            status.via,
            status.boundAssumed,
            status.attempts,
            status.rejections,
            status.lastError,
            status.epoch,
        ],
        ['udp', false, 0, {}, null, 1],
    );
});

test('a moment before the first synchronisation is dated afterwards', { skip }, async (t) => {
    const clock = clockOf(t, { source: await chrony(t) });
    const [moment, wall] = [performance.now(), truth()];
    assert.equal(clock.at(moment), null);
    assert.equal(await clock.waitSynced({ timeout: 3000 }), true);
    const { timeMs, maxErrorMs } = clock.at(moment);
    assert.ok(Math.abs(timeMs - wall) <= maxErrorMs + 5);
    assert.equal(clock.at(NaN), null);
    assert.equal(clock.at(-1e300), null);
});

for (const [fault, reason] of [
    ['wrong-origin', 'origin'],
    ['kiss RATE', 'kiss'],
    ['junk 8', 'malformed'],
]) {
    test(`a server with the fault "${fault}" gives no reading and is counted under ${reason}`, async (t) => {
        const clock = clockOf(t, { source: await faultyServer(t, '--fault', fault) });
        assert.equal(await clock.sync(), false);
        assert.equal(clock.now(), null);
        const { rejections, lastError, isSynced } = clock.getStatus();
        assert.ok(rejections[reason] >= 1, JSON.stringify(rejections));
        assert.equal(isSynced, false);
        assert.notEqual(lastError, null);
    });
}

test('an unsynchronised server is told so', async (t) => {
    const clock = clockOf(t, { source: await faultyServer(t, '--stratum', '16') });
    assert.equal(await clock.sync(), false);
    assert.match(clock.getStatus().lastError, /not synchronised/);
});

test('a bound holds where the path is slow one way only', async (t) => {
    const clock = clockOf(t, { source: await faultyServer(t, '--delay-to-client', '30ms') });
    assert.equal(await clock.waitSynced({ timeout: 3000 }), true);
    const { timeMs, maxErrorMs } = clock.read();
    const error = Math.abs(timeMs - truth());
    assert.ok(error <= maxErrorMs && error > 5, `${error} ${maxErrorMs}`);
});

test('a server that is not there fails the attempt, with the reason', async (t) => {
    const clock = clockOf(t, { source: `127.0.0.1:${await freeUdpPort()}` });
    const failures = [];
    clock.addEventListener('fail', ({ detail }) => failures.push(detail));
    assert.equal(await clock.sync(), false);
    assert.match(clock.getStatus().lastError, /no reply within 2 s \(.*ECONNREFUSED/);
    assert.equal(failures.length, 1);
    assert.equal(clock.now(), null);
});

test('each malformed server is refused with what is wrong', () => {
    const cases = [
        ['', /it is empty/],
        ['http//x', /no host name/],
        ['ntp://x', /URL/],
        ['x:0', /port is not a number from 1 to 65535/],
        ['x:70000', /port/],
        ['x:+1', /port/],
        ['[::1', /invalid NTP server/],
        ['[x]', /no IPv6 address/],
        [':123', /host is empty/],
        ['a..b', /no host name/],
        ['a b', /no host name/],
        [7, /it is no text/],
    ];
    for (const [source, reason] of cases) {
        assert.throws(
            () => new NTPClock({ source }),
            (error) => {
                assert.ok(error instanceof TypeError);
                assert.match(error.message, reason, String(source));
                return true;
            },
        );
    }
});

test('a malformed variable breaks no import: the status says why', () => {
    const ran = runNode(
        `import clock from 'CLOCK'; clock.waitSynced({timeout: 300}).then((synced) =>
     console.log(JSON.stringify([synced, clock.now(), clock.getStatus().lastError])))`,
        { PORTACODE_NTP_SERVER: 'x:0' },
    );
    assert.deepEqual([ran.code, ran.err], [0, '']);
    const [synced, now, error] = JSON.parse(ran.out);
    assert.deepEqual([synced, now], [false, null]);
    assert.match(error, /"x:0".*port/);
});

test('importing keeps no process alive, and waiting for the time does', async (t) => {
    const server = await faultyServer(t);
    const imported = runNode(`import 'CLOCK';`, { PORTACODE_NTP_SERVER: server });
    assert.deepEqual([imported.code, imported.err, imported.out], [0, '', '']);
    const later = runNode(
        `import clock from 'CLOCK'; await clock.waitSynced(); setTimeout(() => {}, 600)`,
        {
            PORTACODE_NTP_SERVER: server,
        },
    );
    assert.deepEqual([later.code, later.err], [0, '']);
    assert.ok(imported.ms < 5000 && later.ms < 8000);
});

test('however often it is imported there is one clock', () => {
    const ran = runNode(
        `const a = await import('CLOCK'); const b = await import('CLOCK?again');
     console.log(a.default === b.default, a.NTPClock === b.NTPClock)`,
        { PORTACODE_NTP_SERVER: '127.0.0.1:1' },
    );
    assert.equal(ran.out.trim(), 'true false');
});
