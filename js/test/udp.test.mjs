// Node against NTP servers by UDP: the real chrony, and the project's own with faults.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    NTPClock,
    chrony,
    clockOf,
    eventually,
    faultyServer,
    freeUdpPort,
    has,
    runNode,
    syncs,
    truth,
} from './support.mjs';
import { steeringPpm } from '../src/environment.js';

const skip = has('chronyd', 'apt-get install chrony');

test(
    'against chrony the first reading is there within a moment and every one within its error',
    { skip },
    async (t) => {
        const clock = clockOf(t, { source: await chrony(t) });
        const began = performance.now();
        assert.equal(clock.now(), null);
        assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
        assert.ok(performance.now() - began < 10_000);
        assert.ok(await eventually(() => clock.read().maxErrorMs < 10));
        const errors = [];
        for (const ends = performance.now() + 2000; performance.now() < ends; ) {
            const before = Date.now();
            const { timeMs, maxErrorMs, estErrorMs } = clock.read();
            const after = Date.now() + 1;
            assert.ok(timeMs + maxErrorMs >= before && timeMs - maxErrorMs <= after);
            assert.ok(estErrorMs <= maxErrorMs);
            errors.push(Math.abs(timeMs - truth()));
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
        assert.equal(clock.getStatus().via, 'udp');
    },
);

test('the status has all that the specification names', { skip }, async (t) => {
    const server = await chrony(t);
    const clock = clockOf(t, { source: server });
    await syncs(clock);
    const status = clock.getStatus();
    assert.equal(status.server, server);
    assert.equal(status.isSynced, true);
    assert.ok(Math.abs(status.offset) < 100);
    const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/;
    assert.match(status.lastSync, iso);
    assert.match(status.nextSync, iso);
    assert.match(clock.nowISO(), iso);
    assert.ok(status.timeSinceSync >= 0 && status.timeSinceSync < 60_000);
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
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
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

test('an unsynchronised server is reported so', async (t) => {
    const clock = clockOf(t, { source: await faultyServer(t, '--stratum', '16') });
    assert.equal(await clock.sync(), false);
    assert.match(clock.getStatus().lastError, /not synchronised/);
});

test('a bound holds where the path is slow one way only', async (t) => {
    const clock = clockOf(t, { source: await faultyServer(t, '--delay-to-client', '30ms') });
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
    const { timeMs, maxErrorMs } = clock.read();
    const error = Math.abs(timeMs - truth());
    assert.ok(error <= maxErrorMs && error > 5, `${error} ${maxErrorMs}`);
});

test('a server that is not there fails the attempt, with the reason', async (t) => {
    const clock = clockOf(t, { source: `127.0.0.1:${await freeUdpPort()}` });
    const failures = [];
    clock.addEventListener('fail', ({ detail }) => failures.push(detail));
    assert.equal(await clock.sync(), false);
    const { lastError, lastErrorCode, server } = clock.getStatus();
    assert.equal(lastError, `no reply within 2 s (${server}: recvmsg ECONNREFUSED)`);
    assert.equal(lastErrorCode, 'refused');
    // Listeners come after code that waits.
    assert.ok(await eventually(() => failures.length > 0));
    assert.deepEqual(failures, [{ attempt: 1, error: lastError, code: 'refused' }]);
    assert.equal(clock.now(), null);
});

test('what the system said is in the status while the first attempt is under way', async (t) => {
    const clock = clockOf(t, { source: `127.0.0.1:${await freeUdpPort()}` });
    assert.equal(clock.getStatus().lastError, null);
    const failures = [];
    clock.addEventListener('fail', ({ detail }) => failures.push(detail));
    assert.ok(await eventually(() => clock.getStatus().lastError !== null));
    const { lastError, server, attempts } = clock.getStatus();
    assert.equal(lastError, `${server}: recvmsg ECONNREFUSED`);
    assert.deepEqual([attempts, failures], [0, []]);
});

test('a name that does not resolve is reported once', async (t) => {
    const clock = clockOf(t, { source: 'nowhere.invalid' });
    assert.ok(await eventually(() => clock.getStatus().lastError !== null));
    const { lastError } = clock.getStatus();
    assert.match(lastError, /nowhere\.invalid: getaddrinfo E[A-Z_]+/);
    assert.equal(lastError.match(/E(NOTFOUND|AI_AGAIN)/g).length, 1, lastError);
});

test('a server that is no text is refused', () => {
    const refused = { name: 'ServerError', message: /invalid NTP server 7: it is not text/ };
    assert.throws(() => new NTPClock({ source: 7 }), refused);
    assert.throws(() => new NTPClock({ source: null }), TypeError);
});

const MALFORMED =
    'invalid NTP server "foo:bar": its port is not a number from 1 to 65535; ' +
    'write a host name or address, with :port if it is not 123';
const WARNED = `ntp-clock: not synchronised: PORTACODE_NTP_SERVER is malformed: ${MALFORMED}\n`;

test('a malformed variable breaks no import: status, event and one warning say why', () => {
    const ran = runNode(
        `import clock from 'CLOCK';
         const fails = [];
         clock.addEventListener('fail', ({ detail }) => fails.push(detail));
         const early = clock.getStatus();
         const waited = await clock.waitSynced({ timeout: 300 });
         const status = clock.getStatus();
         const asked = await clock.sync();
         for (const end = Date.now() + 60_000; !fails.length && Date.now() < end; )
             await new Promise((resolve) => setTimeout(resolve, 10));
         console.log(JSON.stringify({ early, status, waited, asked, now: clock.now(), fails }))`,
        { PORTACODE_NTP_SERVER: 'foo:bar' },
    );
    assert.deepEqual([ran.code, ran.err], [0, WARNED]);
    const { early, status, waited, asked, now, fails } = JSON.parse(ran.out);
    assert.deepEqual([waited, asked, now], [false, false, null]);
    for (const { server, state, lastError, epoch } of [early, status]) {
        assert.deepEqual([server, state, lastError, epoch], ['foo:bar', 'failed', MALFORMED, 1]);
    }
    assert.deepEqual(fails, [{ attempt: 0, error: MALFORMED, code: 'no_server' }]);
});

test('a malformed variable ends no importer, and is nothing to who chooses another way', () => {
    const env = { PORTACODE_NTP_SERVER: 'foo:bar' };
    const imported = runNode(`import 'CLOCK';`, env);
    // Whether it is warned before it ends is a matter of moments.
    assert.ok(['', WARNED].includes(imported.err), imported.err);
    assert.deepEqual([imported.code, imported.out], [0, '']);
    const chosen = runNode(
        `import clock from 'CLOCK'; clock.configure({ source: '127.0.0.1:1' });
         const { server, state, lastError } = clock.getStatus();
         console.log(JSON.stringify([clock.now(), server, state, lastError]))`,
        env,
    );
    assert.deepEqual([chosen.code, chosen.err], [0, '']);
    assert.deepEqual(JSON.parse(chosen.out), [null, '127.0.0.1:1', 'unsynchronised', null]);
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
    assert.ok(imported.ms < 30_000 && later.ms < 30_000);
});

test('however often it is imported there is one clock', () => {
    const ran = runNode(
        `const a = await import('CLOCK'); const b = await import('CLOCK?again');
     console.log(a.default === b.default, a.NTPClock === b.NTPClock)`,
        { PORTACODE_NTP_SERVER: '127.0.0.1:1' },
    );
    assert.equal(ran.out.trim(), 'true false');
});

test('code that waits for a round does not wait for the last requests of the first', async (t) => {
    const source = await faultyServer(t);
    let clock;
    let least = 7;
    // On a busy machine the replies of the first ones may come that late.
    for (let tries = 0; tries < 10 && least >= 7; tries++) {
        clock = clockOf(t, { source });
        await syncs(clock);
        // The others are 0.2, 0.5 and 0.8 s apart.
        const { requests } = clock.getStatus();
        assert.ok(requests >= 4, `${requests} requests`);
        least = Math.min(least, requests);
    }
    assert.ok(least < 7, `${least} requests`);
    assert.ok(await eventually(() => clock.getStatus().requests === 7));
});

test('as much steering is allowed for as the system may do', () => {
    for (const name of ['linux', 'Linux x86_64', 'Android', 'Chrome OS', 'freebsd', '']) {
        assert.equal(steeringPpm(name), 500, name);
    }
    for (const name of ['darwin', 'MacIntel', 'macOS', 'iPhone', 'win32', 'Win32', 'Windows']) {
        assert.equal(steeringPpm(name), 50, name);
    }
});
