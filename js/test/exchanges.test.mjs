// The dashboard's exchanges, by the vectors that Python and Rust read too.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Exchanges } from '../../server/portacode_django/dashboard/static/js/exchanges.js';
import { ManualClock, ROOT } from './support.mjs';

const vectors = readFileSync(join(ROOT, 'tests/vectors/relay-exchanges.json'), 'utf8');
const { cases } = JSON.parse(vectors);
const withSteps = cases.filter(({ steps }) => steps);
assert.ok(withSteps.length > 5);

const stamp = ({ counter, counter_ns: counterNs }, resolutionNs = 0) => {
    return { counter, counterNs, resolutionNs };
};

for (const { name, steps } of withSteps) {
    test(`${name}: a page says what the vectors say`, () => {
        const exchanges = new Exchanges(null, null);
        for (const { request, reply } of steps) {
            if (reply) {
                const { request_id: id, received, ours } = reply;
                assert.equal(exchanges.take(id, stamp(received)), ours);
            } else {
                const id = request.message.request_id;
                const message = exchanges.request(stamp(request.at), id);
                assert.deepEqual(message, request.message);
            }
        }
    });
}

test('what a coarse counter may be off by is on the safe side of both stamps', () => {
    const exchanges = new Exchanges(null, null);
    const counter = '0123456789abcdef~500';
    const at = (ns) => stamp({ counter, counter_ns: ns }, 100_000.5);
    assert.equal(exchanges.request(at('7000000'), 'a1').sent, '6899999');
    assert.ok(exchanges.take('a1', at('8000000')));
    const next = exchanges.request(at('50'), 'a2');
    assert.deepEqual(next.last, { request_id: 'a1', received: '8100001' });
    assert.equal(next.sent, '0');
});

test('a counter that is another one after a sleep is compared as from the beginning', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let counter = '0123456789abcdef~500';
    const clock = { stamp: () => stamp({ counter, counter_ns: '5' }) };
    const sent = [];
    const exchanges = new Exchanges(clock, (message) => sent.push(message.counter));
    const after = (ms) => {
        t.mock.timers.tick(ms);
        return sent.length;
    };
    exchanges.start();
    assert.equal([0, 500, 500, 1000, 2000, 4000, 10_000].map(after).at(-1), 7);
    counter = 'fedcba9876543210~500';
    assert.deepEqual([10_000, 500, 500, 1000, 2000, 4000, 9_999, 1].map(after).at(-2), 13);
    assert.equal(sent.length, 14);
    assert.equal(new Set(sent.slice(7)).size, 1);
    exchanges.stop();
});

test('requests come at their times until the connection ends, and again over the next one', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const sent = [];
    const clock = new ManualClock();
    const exchanges = new Exchanges(clock, (message) => sent.push(message));
    const after = (ms) => {
        t.mock.timers.tick(ms);
        return sent.length;
    };
    exchanges.start();
    assert.deepEqual([0, 500, 500, 1000, 2000, 4000].map(after), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual([9_999, 1, 10_000].map(after), [6, 7, 8]);
    assert.ok(exchanges.take(sent[7].request_id, clock.stamp()));
    exchanges.stop();
    assert.equal(after(60_000), 8);
    exchanges.start();
    assert.equal(after(0), 9);
    assert.equal(sent[8].last, undefined, 'that was over another connection');
    assert.ok(!exchanges.take(sent[6].request_id, clock.stamp()));
    assert.equal(new Set(sent.map((message) => message.request_id)).size, 9);
    exchanges.stop();
});

test('a clock that throws, or is none, does not end the exchanges', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const warned = t.mock.method(console, 'warn', () => {});
    const sent = [];
    const clock = {};
    const exchanges = new Exchanges(clock, (message) => sent.push(message));
    exchanges.start();
    t.mock.timers.tick(0);
    clock.stamp = () => {
        throw new Error('no more');
    };
    t.mock.timers.tick(500);
    assert.equal(sent.length, 0);
    assert.equal(warned.mock.callCount(), 1);
    clock.stamp = () => stamp({ counter: '0123456789abcdef~500', counter_ns: '5' });
    t.mock.timers.tick(500);
    assert.equal(sent.length, 1);
    exchanges.stop();
});

test('what sends may throw, and may end the exchanges', (t) => {
    const waiting = [];
    t.mock.method(globalThis, 'setTimeout', (run) => waiting.push(run));
    t.mock.method(globalThis, 'clearTimeout', (place) => delete waiting[place - 1]);
    let [sends, exchanges] = [0, null];
    const send = () => {
        sends++;
        if (sends === 1) throw new Error('the socket is closing');
        exchanges.stop();
    };
    exchanges = new Exchanges(new ManualClock(), send);
    exchanges.start();
    assert.throws(() => waiting[0](), /the socket is closing/);
    waiting[1]();
    assert.equal(sends, 2);
    assert.equal(waiting[2], undefined, 'stopped from within');
});
