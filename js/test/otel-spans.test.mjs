// Spans of the real SDK, re-dated by a clock that is known here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { datedSpan } from '../otel/spans.js';

/** True time is this much after performance.now(). */
const TRUE_MS = 1_900_000_000_000;
const moment = (ms) => ({
    timeMs: TRUE_MS + ms,
    maxErrorMs: 3 + ms / 1e6,
    estErrorMs: 1,
    epoch: 2,
});
const somewhere = (from, to) => moment((from + to) / 2);
const dates = { moment, somewhere, shown: () => null };

/** What the program did within `use`, and when the SDK passed the span on. */
function spanOf(t, use, { wrongMs = 0, options = {} } = {}) {
    const { now } = Date;
    t.mock.method(Date, 'now', () => now() + wrongMs);
    const ended = {};
    const provider = new BasicTracerProvider({
        spanProcessors: [
            {
                onStart() {},
                onEnd(span) {
                    ended.span = span;
                    ended.endedMs = performance.now();
                },
                async forceFlush() {},
                async shutdown() {},
            },
        ],
    });
    const beforeMs = performance.now();
    const span = provider.getTracer('test').startSpan('work', options);
    const startedMs = performance.now();
    use(span);
    return { ...ended, beforeMs, startedMs, afterMs: performance.now() };
}

const ms = ([seconds, ns]) => seconds * 1000 - TRUE_MS + ns / 1e6;
const ERROR_MS = 0.001;
function between(time, from, to) {
    assert.ok(
        ms(time) >= from - ERROR_MS && ms(time) <= to + ERROR_MS,
        `${ms(time)}: ${from} to ${to}`,
    );
}

for (const wrongMs of [-2000, 3 * 3600 * 1000]) {
    test(`a span's start, events and end are true while Date.now() is wrong by ${wrongMs} ms`, (t) => {
        let eventFrom;
        const { span, endedMs, beforeMs, startedMs, afterMs } = spanOf(
            t,
            (open) => {
                eventFrom = performance.now();
                open.addEvent('event');
                // The system's clock is set back in mid-span.
                t.mock.method(Date, 'now', () => 1000);
                open.end();
            },
            { wrongMs },
        );
        const dated = datedSpan(span, { dates, endedMs, server: 'test' });
        between(dated.startTime, beforeMs, startedMs);
        between(dated.events[0].time, eventFrom, afterMs);
        between(dated.endTime, eventFrom, afterMs);
        assert.ok(ms(dated.startTime) <= ms(dated.events[0].time));
        assert.equal(dated.attributes['ntp_clock.synchronised'], true);
        assert.ok(dated.attributes['ntp_clock.max_error_ns'] >= 3_000_000);
        assert.equal(dated.attributes['ntp_clock.epoch'], 2);
        assert.equal(dated.name, 'work');
        assert.deepEqual(span.attributes, {}, 'the span of the program was changed');
        assert.equal(datedSpan(dated, { dates, endedMs, server: 'test' }), dated, 'dated twice');
    });
}

for (const [what, options, end] of [
    ['start', { startTime: [1000, 0] }, undefined],
    ['end', {}, [4_000_000_000, 0]],
]) {
    test(`a span whose ${what} the program gave stays as it is and says so`, (t) => {
        const { span, endedMs } = spanOf(t, (open) => open.end(end), { options });
        const dated = datedSpan(span, { dates, endedMs, server: 'test' });
        assert.deepEqual(dated.startTime, span.startTime);
        assert.deepEqual(dated.endTime, span.endTime);
        assert.deepEqual(dated.attributes, {
            'ntp_clock.synchronised': false,
            'ntp_clock.time_source': 'program',
        });
    });
}

test('a span that the program ended before its start has no length', (t) => {
    const { span, endedMs, beforeMs, startedMs } = spanOf(t, (open) => open.end([2000, 0]));
    const dated = datedSpan(span, { dates, endedMs, server: 'test' });
    between(dated.startTime, beforeMs, startedMs);
    assert.deepEqual(dated.endTime, dated.startTime);
    assert.deepEqual(dated.duration, [0, 0]);
});

test('a span without a reading stays as it is and is marked', (t) => {
    const { span, endedMs } = spanOf(t, (open) => open.end());
    const dated = datedSpan(span, {
        dates: { ...dates, moment: () => null },
        endedMs,
        server: 'test',
    });
    assert.deepEqual(dated.startTime, span.startTime);
    assert.deepEqual(dated.attributes, { 'ntp_clock.synchronised': false });
});
