// Spans of the real SDK, re-dated by a clock that is known here.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { datedSpan } from '../otel/spans.js';

const realNow = Date.now;
// Of a method that was mocked twice the runner puts the first mock back.
beforeEach(() => {
    Date.now = realNow;
});

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
function spanOf(t, use, { wrongMs = 0, options = {}, scope = 'test' } = {}) {
    t.mock.method(Date, 'now', () => realNow() + wrongMs);
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
    const span = provider.getTracer(scope).startSpan('work', options);
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

const SCOPE = '@opentelemetry/instrumentation-';
const WRONG_MS = -2000;
/** Where Date.now() is wrong by a constant. */
const steady = {
    ...dates,
    shown(ns, { fromMs, toMs }) {
        const least = Number(ns) / 1e6 - WRONG_MS - performance.timeOrigin;
        // The wall clock is steered, and performance.timeOrigin is not.
        if (least + 3 < fromMs || least > toMs + 2) return null;
        return { ...moment(least + 0.5), maxErrorMs: 4 };
    },
};
const hr = (ms) => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];

for (const [what, scope, startTime, endTime] of [
    ['numbers of performance.now()', 'document-load', (now) => now, (now) => now],
    ['times of Date.now()', 'xml-http-request', () => Date.now(), () => Date.now()],
    ['a start of the SDK and an end of Date.now()', 'fetch', () => undefined, () => Date.now()],
    [
        'times counted from timeOrigin',
        'user-interaction',
        (now) => hr(performance.timeOrigin + now),
        (now) => hr(performance.timeOrigin + now),
    ],
]) {
    test(`a span of instrumentation-${scope} with ${what} is true`, (t) => {
        let from;
        // What the page did long before the span was made, as document-load reads from the browser.
        const old = scope === 'document-load' ? 5 : performance.now();
        t.mock.method(
            Date,
            'now',
            (
                (real) => () =>
                    real() + WRONG_MS
            )(Date.now),
        );
        const options = { startTime: startTime(old) };
        const { span, endedMs, afterMs } = spanOf(
            t,
            (open) => {
                from = performance.now();
                open.end(endTime(performance.now()));
            },
            { options, scope: SCOPE + scope, wrongMs: WRONG_MS },
        );
        const dated = datedSpan(span, { dates: steady, endedMs, server: 'test' });
        assert.equal(dated.attributes['ntp_clock.synchronised'], true);
        assert.equal(dated.attributes['ntp_clock.time_source'], undefined);
        assert.ok(ms(dated.startTime) >= old - 2, `${ms(dated.startTime)} from ${old}`);
        if (options.startTime !== undefined) assert.ok(ms(dated.startTime) <= old + 2);
        assert.ok(ms(dated.endTime) >= from - 2 && ms(dated.endTime) <= afterMs + 2);
    });
}

test("the same times in a span of another scope are the program's, where they are of long ago", (t) => {
    const { span, endedMs } = spanOf(t, (open) => open.end(), {
        options: { startTime: Date.now() - 60_000 },
        scope: 'shop/http',
    });
    const dated = datedSpan(span, { dates: steady, endedMs, server: 'test' });
    assert.deepEqual(dated.startTime, span.startTime);
    assert.equal(dated.attributes['ntp_clock.time_source'], 'program');
});
