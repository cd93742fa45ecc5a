// Relays: honest ones, and all that may come in their place.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import {
    MODULE,
    NTPClock,
    ROOT,
    clockOf,
    eventually,
    firstRoundOver,
    honest,
    near,
    relay,
    syncs,
    truth,
} from './support.mjs';

const reply = (id, received) => ({ ...honest(received), request_id: id });

for (const way of ['ws', 'http']) {
    test(`over ${way} a relay gives the time, its own error added`, async (t) => {
        const clock = clockOf(t, { relay: (await relay(t, reply))[way] });
        await syncs(clock);
        near(clock);
        const status = clock.getStatus();
        assert.ok(status.maxErrorMs >= 0.4);
        assert.deepEqual(
            [status.via, status.server, status.boundAssumed],
            [`${way}-relay`, 'time.cloudflare.com', false],
        );
    });
}

for (const stopped of [false, true]) {
    const what = stopped ? 'that was stopped' : 'that goes on';
    test(`a relay's connection keeps no process of Node alive, of a clock ${what}`, async (t) => {
        const { ws } = await relay(t, reply);
        const program = `
            import { WebSocket } from 'ws';
            globalThis.WebSocket ??= WebSocket;
            const { NTPClock } = await import(${JSON.stringify(MODULE)});
            const clock = new NTPClock({ relay: ${JSON.stringify(ws)} });
            const synced = await clock.waitSynced({ timeout: 60_000 });
            if (${stopped}) clock.stopAutoSync();
            console.log(synced);`;
        const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
            cwd: `${ROOT}js`,
            stdio: ['ignore', 'pipe', 'inherit'],
            timeout: 60_000,
        });
        let out = '';
        child.stdout.on('data', (text) => (out += text));
        const [code, signal] = await once(child, 'close');
        assert.deepEqual([out, code, signal], ['true\n', 0, null]);
    });
}

for (const way of ['ws', 'http']) {
    test(`over ${way} the server is empty until the relay names it, even with no time`, async (t) => {
        const urls = await relay(t, (id, received, path) => {
            const body = { ...reply(id, received), server_time: null, server: '127.0.0.1:1' };
            return path === 'ws' ? body : { status: 503, body };
        });
        const clock = clockOf(t, { relay: urls[way] });
        const before = clock.getStatus();
        assert.deepEqual([before.server, before.via], ['', `${way}-relay`]);
        assert.equal(await clock.sync(), false);
        assert.equal(clock.getStatus().server, '127.0.0.1:1');
        assert.match(clock.getStatus().lastError, /not synchronised/);
    });
}

test('a server named without a time binds nobody to it', async (t) => {
    let unsynchronised = true;
    const { clock } = paged(t, (id, received) =>
        unsynchronised
            ? { ...reply(id, received), server_time: null, server: 'before' }
            : { ...reply(id, received), server: 'after' },
    );
    assert.equal(await clock.sync(), false);
    assert.equal(clock.getStatus().server, 'before');
    unsynchronised = false;
    assert.ok((await clock.sync()) || (await clock.waitSynced({ timeout: 60_000 })));
    assert.equal(clock.getStatus().server, 'after');
    assert.equal(clock.getStatus().rejections.server, undefined);
});

/** A clock over the page's own connection, whose replies `answer` makes out of honest ones. */
function paged(t, answer) {
    const clock = new NTPClock();
    t.after(() => clock.stopAutoSync());
    const sent = [];
    clock.setClockSyncSender((message) => {
        sent.push(message);
        const received = truth();
        setTimeout(() => {
            const answered = answer(message.request_id, received, sent.length);
            if (answered !== undefined) clock.handleServerSync(answered);
        }, 1);
    });
    return { clock, sent };
}

test("the page's own connection carries the exchange", async (t) => {
    const { clock, sent } = paged(t, reply);
    await syncs(clock);
    near(clock);
    assert.equal(sent[0].event, 'clock_sync_request');
    assert.match(sent[0].request_id, /^[0-9a-f]{16}$/);
    assert.equal(new Set(sent.map((message) => message.request_id)).size, sent.length);
});

const deep = JSON.parse('['.repeat(5000) + ']'.repeat(5000));
const BAD = [
    ['a time that is NaN', (r) => ({ ...r, server_send_time: NaN }), 'malformed'],
    ['an infinite time', (r) => ({ ...r, server_receive_time: Infinity }), 'malformed'],
    ['a time that is text', (r) => ({ ...r, server_receive_time: '5' }), 'malformed'],
    ['a time of another century', (r) => ({ ...r, server_receive_time: 1e15 }), 'malformed'],
    ['no error of its own', (r) => ({ ...r, root_dispersion_ms: undefined }), 'malformed'],
    ['an error below zero', (r) => ({ ...r, root_delay_ms: -1 }), 'malformed'],
    ['an error of an hour', (r) => ({ ...r, root_dispersion_ms: 3.6e6 }), 'root_distance'],
    ['a stratum that is none', (r) => ({ ...r, stratum: {} }), 'malformed'],
    ['stratum 16', (r) => ({ ...r, stratum: 16 }), 'unsynchronised'],
    ['leap 3', (r) => ({ ...r, leap: 3 }), 'unsynchronised'],
    [
        'no time, being unsynchronised',
        (r) => ({ ...r, server_time: null, server_send_time: null }),
        'unsynchronised',
    ],
    [
        'sending before receiving',
        (r) => ({ ...r, server_receive_time: r.server_send_time + 1000 }),
        'backward_timestamps',
    ],
    [
        'holding longer than we waited',
        (r) => ({ ...r, server_send_time: r.server_send_time + 9000 }),
        'negative_delay',
    ],
    ['no server', (r) => ({ ...r, server: undefined }), 'malformed'],
    ['a server that is no text', (r) => ({ ...r, server: deep }), 'malformed'],
    ['another request', (r) => ({ ...r, request_id: '0123456789abcdef' }), 'origin'],
    ['no request', (r) => ({ ...r, request_id: 12 }), 'origin'],
    ['a request of megabytes', (r) => ({ ...r, request_id: 'f'.repeat(1 << 22) }), 'origin'],
    ['null', () => null, 'origin'],
    ['a number', () => 7, 'origin'],
    ['nothing but depth', () => deep, 'origin'],
];
for (const [what, spoil, reason] of BAD) {
    test(`a relay's reply with ${what} gives no reading and is counted under ${reason}`, async (t) => {
        const { clock } = paged(t, (id, received) => spoil(reply(id, received)));
        assert.equal(await clock.sync(), false);
        assert.equal(clock.now(), null);
        const { rejections, lastError } = clock.getStatus();
        assert.deepEqual(Object.keys(rejections), [reason]);
        assert.notEqual(lastError, null);
    });
}

test('a reply is believed once', async (t) => {
    let kept;
    const { clock } = paged(t, (id, received) => (kept ??= reply(id, received)));
    await syncs(clock);
    assert.ok(await eventually(() => clock.getStatus().rejections.duplicate >= 1));
    assert.equal(clock.getStatus().believed, 1);
});

test('a reply to no request changes nothing', async (t) => {
    const { clock } = paged(t, reply);
    await syncs(clock);
    const { believed } = clock.getStatus();
    clock.handleServerSync(reply('00000000000000ff', truth() - 5_000_000));
    near(clock);
    assert.equal(clock.getStatus().believed, believed);
    assert.equal(clock.getStatus().rejections.origin, 1);
});

test('a relay that changes its server is not believed', async (t) => {
    const { clock } = paged(t, (id, received, n) => ({
        ...reply(id, received),
        server: n === 1 ? 'a' : 'b',
    }));
    await syncs(clock);
    assert.equal(clock.getStatus().believed, 1);
    assert.equal(clock.getStatus().server, 'a');
    assert.ok(clock.getStatus().rejections.server >= 1);
});

test('workers of other instances may have other epochs, one whose own time started again starts an epoch', async (t) => {
    let epoch = 1;
    const { clock, sent } = paged(t, (id, received, n) => ({
        ...reply(id, received),
        instance: n % 2 ? 'other' : 'a',
        epoch: n % 2 ? 77 : epoch,
    }));
    await syncs(clock);
    assert.equal(clock.getStatus().epoch, 1);
    const epochs = [];
    clock.addEventListener('epoch', ({ detail }) => epochs.push(detail.epoch));
    epoch = 2;
    clock.sync();
    assert.ok(await eventually(() => epochs.length === 1), `${sent.length} sent`);
    assert.ok(await clock.waitSynced({ timeout: 60_000 }));
    near(clock);
    assert.equal(clock.read().epoch, 2);
});

test('a relay that lies about its error meets a contradiction or a new epoch, never both times', async (t) => {
    let lie = 0;
    const { clock } = paged(t, (id, received) => {
        const answered = reply(id, received);
        for (const key of ['server_receive_time', 'server_send_time', 'server_time'])
            answered[key] += lie;
        return answered;
    });
    await firstRoundOver(clock);
    const before = clock.read();
    lie = -60_000;
    await clock.sync();
    const after = clock.read();
    assert.ok(after === null || after.epoch > before.epoch || after.timeMs >= before.timeMs);
    const { rejections, epoch } = clock.getStatus();
    assert.ok(rejections.contradiction >= 1 || epoch > before.epoch);
});

test('a sender that throws or cannot send fails the attempt, and the page learns why', async (t) => {
    for (const [sender, reason, code] of [
        [() => false, /not open/, 'sender_refused'],
        [async () => false, /not open/, 'sender_refused'],
        [
            () => {
                throw new Error('no socket');
            },
            /no socket/,
            'sender_threw',
        ],
        [() => Promise.reject(new Error('no socket')), /no socket/, 'sender_threw'],
    ]) {
        const clock = clockOf(t);
        const failures = [];
        clock.onClockSyncFailure((...failure) => failures.push(failure));
        clock.setClockSyncSender(sender);
        assert.equal(await clock.sync(), false);
        const { lastError, lastErrorCode } = clock.getStatus();
        assert.match(lastError, reason);
        assert.equal(lastErrorCode, code);
        assert.ok(await eventually(() => failures.length > 0));
        assert.deepEqual(failures[0], [lastError, code]);
    }
});

const HTTP_BAD = [
    ['text that is no JSON', () => '{', /malformed/],
    ['a body of a megabyte', () => `"${'x'.repeat(1 << 20)}"`, /longer than 4096 bytes/],
    ['brackets without end', () => '['.repeat(4000), /malformed/],
    ['HTTP 500', () => ({ status: 500, body: 'oh' }), /HTTP 500/],
    [
        'HTTP 503 and no time',
        (id, at) => ({ status: 503, body: { ...reply(id, at), server_time: null } }),
        /not synchronised/,
    ],
];
for (const [what, answer, reason] of HTTP_BAD) {
    test(`an HTTP relay answering ${what} gives no reading, and the status says so`, async (t) => {
        const clock = clockOf(t, { relay: `${(await relay(t, answer)).http}/clock` });
        assert.equal(await clock.sync(), false);
        assert.equal(clock.now(), null);
        assert.match(clock.getStatus().lastError, reason);
    });
}

test('a reply out of a cache, which names another request, is not believed', async (t) => {
    let kept;
    const { http } = await relay(t, (id, received) => (kept ??= reply(id, received - 60_000)));
    const clock = clockOf(t, { relay: http });
    assert.equal(await clock.sync(), false);
    assert.equal(clock.now(), null);
    assert.deepEqual(Object.keys(clock.getStatus().rejections), ['origin']);
});

test('what the relay says about a request that it refuses is in the status', async (t) => {
    const { clock } = paged(t, (id) => ({
        event: 'clock_sync_response',
        request_id: id,
        error: { code: 'rate_limited', message: 'more than 20 requests a second' },
    }));
    assert.equal(await clock.sync(), false);
    assert.match(clock.getStatus().lastError, /the relay: more than 20 requests a second/);
});

test('a reply over HTTP need not name its request', async (t) => {
    const { http } = await relay(t, (id, received) => honest(received));
    const clock = clockOf(t, { relay: http });
    await syncs(clock);
    near(clock);
});

test('the first request over a connection is not used', async (t) => {
    const ids = [];
    const { http } = await relay(t, async (id, received) => {
        ids.push(id);
        return reply(id, received);
    });
    const clock = clockOf(t, { relay: http });
    await syncs(clock);
    assert.equal(ids[0], '0000000000000000');
    assert.equal(clock.getStatus().believed, ids.length - 1);
});
