// The relay's messages of tests/vectors, which relays in Rust and Python give, at the asking end.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NTPClock, ROOT, syncs } from './support.mjs';

function cases(name) {
    const { cases: read } = JSON.parse(readFileSync(join(ROOT, 'tests/vectors', name), 'utf8'));
    assert.ok(read.length > 0);
    return read;
}

/** What a double of today's milliseconds may be off by, in nanoseconds. */
const DOUBLE_NS = 123;
const TIMES = ['server_receive_time', 'server_send_time', 'server_time'];

/** A clock whose first request gets this reply, and later ones the same with the time gone on. */
function clockOver(t, reply) {
    const clock = new NTPClock();
    t.after(() => clock.stopAutoSync());
    const asked = { first: null, messages: [] };
    clock.setClockSyncSender((message) => {
        const at = performance.now();
        asked.first ??= at;
        asked.messages.push(message);
        const given = { ...reply, request_id: message.request_id };
        if (given.server_time != null) for (const key of TIMES) given[key] += at - asked.first;
        const held = given.server_send_time - given.server_receive_time || 0;
        setTimeout(() => clock.handleServerSync(given), held + 2);
    });
    return { clock, asked };
}

const replies = cases('relay-replies.json');
for (const { name, reply, receive, send } of replies.filter((c) => c.reply.server_time !== null)) {
    test(`${name}: a reading within an error that holds the relay's`, async (t) => {
        const { clock, asked } = clockOver(t, reply);
        await syncs(clock);
        const { timeMs, maxErrorMs } = clock.read();
        const gone = performance.now() - asked.first;
        const bound = reply.root_delay_ms / 2 + reply.root_dispersion_ms;
        assert.ok(maxErrorMs >= bound, `${maxErrorMs} ms, of which the relay's ${bound} ms`);
        assert.ok(timeMs >= reply.server_receive_time - maxErrorMs);
        assert.ok(timeMs <= reply.server_send_time + gone + maxErrorMs);
        const status = clock.getStatus();
        assert.equal(status.server, reply.server);
        assert.equal(status.via, 'ws-relay');
        assert.equal(status.boundAssumed, false);
        for (const { event, request_id: id, ...rest } of asked.messages) {
            assert.equal(event, 'clock_sync_request');
            assert.match(id, /^[0-9a-f]{16}$/);
            assert.deepEqual(rest, {});
        }
    });
    test(`${name}: the stamps are the nearest doubles of the relay's nanoseconds`, () => {
        const known = receive?.epoch === send.epoch && BigInt(receive.time_ns) <= send.time_ns;
        const stamps = [
            [reply.server_send_time, send.time_ns],
            [reply.server_receive_time, known ? receive.time_ns : send.time_ns],
        ];
        for (const [ms, ns] of stamps) {
            const whole = Math.floor(ms);
            const back = BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6));
            const off = back - BigInt(ns);
            assert.ok(off <= DOUBLE_NS && -off <= DOUBLE_NS, `${off} ns`);
            const nanos = BigInt(ns);
            assert.equal(ms, Number(nanos / 1_000_000n) + Number(nanos % 1_000_000n) / 1e6);
        }
    });
}

test('a relay that compares counters names its own, which changes nothing for a clock', async (t) => {
    const { reply } = replies.find((c) => c.reply.server_time !== null);
    const { clock, asked } = clockOver(t, { ...reply, counter: '0f3a6c5d9be2714f' });
    await syncs(clock);
    assert.equal(clock.getStatus().server, reply.server);
    assert.ok(asked.messages.every((message) => !('counter' in message)));
});

const timeless = replies.filter((c) => c.reply.server_time === null);
const refused = cases('relay-requests.json').map(({ outcome }) => outcome.error);
const codes = [...new Set(refused), 'rate_limited'].filter((code) => code !== undefined);
const NO_TIME = [
    ...timeless.map(({ name, reply }) => [name, reply, 'unsynchronised', /not synchronised/]),
    ...codes.map((code) => {
        const error = { code, message: 'in words' };
        const reply = { event: 'clock_sync_response', error };
        return [`refused with ${code}`, reply, 'malformed', /malformed/];
    }),
];

test('a reply without a time gives no reading, and its reason is counted', async (t) => {
    assert.ok(NO_TIME.length > 8);
    const ran = NO_TIME.map(async ([name, reply, reason, given]) => {
        const { clock } = clockOver(t, reply);
        assert.equal(await clock.sync(), false, name);
        assert.equal(clock.now(), null, name);
        assert.deepEqual(Object.keys(clock.getStatus().rejections), [reason], name);
        assert.match(clock.getStatus().lastError, given, name);
    });
    await Promise.all(ran);
});
