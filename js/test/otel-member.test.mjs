// The member of `tracestate`, within the API's own TraceState.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTraceState } from '@opentelemetry/api';
import { formatMember, KEY, parseMember } from '../otel/member.js';

const COUNTER = '0123456789abcdef';
const PEER = 'fedcba9876543210~500';
const LEAST = -(2n ** 63n);
const exchange = { peer: PEER, t1: LEAST, t2: LEAST, t3: LEAST, t4: 2n ** 63n - 1n };

for (const [what, message] of [
    ['alone', { counter: COUNTER, sentNs: 12n, exchange: null }],
    ['with the longest exchange', { counter: PEER, sentNs: LEAST, exchange }],
]) {
    test(`a member ${what} comes back whole through a tracestate with others`, () => {
        const value = formatMember(message);
        const sent = createTraceState('other=1,more=2').set(KEY, value).serialize();
        assert.ok(sent.startsWith(`${KEY}=`));
        const received = createTraceState(sent);
        assert.deepEqual(parseMember(received.get(KEY)), message);
        assert.equal(received.get('other'), '1');
        assert.equal(received.get('more'), '2');
    });
}

test('a malformed member is ignored', () => {
    const good = formatMember({ counter: COUNTER, sentNs: 12n, exchange });
    assert.notEqual(parseMember(good), null);
    for (const bad of [
        undefined,
        '',
        '1',
        `2.${COUNTER}.12`,
        `1.${COUNTER.slice(1)}.12`,
        `1.${COUNTER.toUpperCase()}.12`,
        `1.${COUNTER}.`,
        `1.${COUNTER}.1e3`,
        `1.${COUNTER}.${2n ** 63n}`,
        `1.${COUNTER}.12.${PEER}.1.2.3`,
        `${good}.5`,
        `${good}\n`,
        `1.${COUNTER}.${'1'.repeat(300)}`,
    ]) {
        assert.equal(parseMember(bad), null, String(bad));
    }
    for (let length = 0; length < good.length; length += 1) {
        const cut = parseMember(good.slice(0, length));
        assert.ok(cut === null || cut.counter === COUNTER);
    }
});
