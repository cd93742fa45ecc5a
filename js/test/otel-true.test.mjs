// OpenTelemetry's own SDK and exporters, with a system clock that is wrong, against the truth.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { collector, hasFaketime, missNs, run } from './otel-support.mjs';
import { faultyServer } from './support.mjs';

const skip = hasFaketime;

/** All times that arrived, each with when it happened and its stated error. */
function compared(got, lines) {
    const { attributesOf } = got;
    const found = [];
    const add = (what, timeNs, when, attributes) => {
        const missedNs = missNs(timeNs, when);
        found.push({ what, missedNs, attributes });
    };
    const named = new Map(lines.filter(({ name }) => name).map((line) => [line.name, line]));
    for (const span of got.spans) {
        const when = named.get(span.name);
        const attributes = attributesOf(span);
        add(`${span.name}: start`, span.startTimeUnixNano, when.start, attributes);
        add(`${span.name}: end`, span.endTimeUnixNano, when.end, attributes);
        for (const { timeUnixNano } of span.events) {
            add(`${span.name}: event`, timeUnixNano, when.event, attributes);
        }
    }
    for (const record of got.logs) {
        const { log } = named.get(record.body.stringValue);
        const attributes = attributesOf(record);
        add(`${record.body.stringValue}: log`, record.timeUnixNano, log, attributes);
        add(`${record.body.stringValue}: seen`, record.observedTimeUnixNano, log, attributes);
    }
    const collected = lines.filter(({ metrics }) => metrics);
    got.metrics.slice(0, collected.length).forEach((point, place) => {
        const attributes = attributesOf(point);
        add(`metrics ${place}: end`, point.timeUnixNano, collected[place].end, attributes);
        const { startTimeUnixNano } = point;
        add(`metrics ${place}: start`, startTimeUnixNano, collected[place].start, attributes);
    });
    return found;
}

function assertWhole(got, lines) {
    const names = lines.filter(({ name }) => name).map(({ name }) => name);
    assert.deepEqual(got.spans.map(({ name }) => name).sort(), [...names].sort());
    const logged = lines.filter(({ log }) => log).map(({ name }) => name);
    assert.deepEqual(got.logs.map(({ body }) => body.stringValue).sort(), logged.sort());
    assert.ok(got.metrics.length >= 2, `${got.metrics.length} points of metrics`);
}

const CASES = [
    ['2 s slow', { fake: '-2s' }],
    ['3 h fast', { fake: '+3h' }],
    ['stepped forward in mid-span', { fake: '-2s', step: '+3h' }],
    ['stepped back in mid-span', { fake: '+3h', step: '-2s' }],
    ['200 ppm fast and an hour off', { fake: '+1h x1.0002' }],
];
// Programs wait more than they work.
describe('programs of the SDK', { concurrency: 4 }, () => {
    for (const [what, clock] of CASES) {
        test(
            `with a system clock ${what}, all that arrives is within its stated error of the truth, and without the clock it is not`,
            { skip },
            async (t) => {
                const server = await faultyServer(t, '--delay', '5ms + exp 2ms');
                const env = { PORTACODE_NTP_SERVER: server };
                const [got, bare] = [await collector(t), await collector(t)];
                const [ran, control] = await Promise.all([
                    run(t, { ...clock, installed: true, env: { ...env, COLLECTOR: got.url } }),
                    run(t, { ...clock, env: { ...env, COLLECTOR: bare.url } }),
                ]);
                assert.equal(ran.code, 0, ran.err);
                assertWhole(got, ran.reports);
                for (const { what, missedNs, attributes } of compared(got, ran.reports)) {
                    const statedNs = attributes['ntp_clock.max_error_ns'];
                    assert.equal(attributes['ntp_clock.synchronised'], true, what);
                    assert.ok(
                        missedNs <= statedNs,
                        `${what}: ${missedNs} ns off, ${statedNs} ns stated`,
                    );
                    // Far less than any of these clocks is wrong by; how much depends on the first replies.
                    assert.ok(statedNs < 1_000_000_000, `${what}: ${statedNs} ns stated`);
                }
                const starts = new Set(
                    got.metrics.map(({ startTimeUnixNano }) => startTimeUnixNano),
                );
                assert.equal(starts.size, 1, 'a cumulative start is repeated');

                assert.equal(control.code, 0, control.err);
                assertWhole(bare, control.reports);
                const off = compared(bare, control.reports).filter(
                    ({ missedNs }) => missedNs > 1e9,
                );
                assert.ok(off.length > 0, 'the control is right');
            },
        );
    }

    test('a delta of metrics starts where the one before it ended', { skip }, async (t) => {
        const server = await faultyServer(t, '--delay', '5ms');
        const got = await collector(t);
        const env = { PORTACODE_NTP_SERVER: server, COLLECTOR: got.url, TEMPORALITY: '0' };
        const ran = await run(t, { fake: '-2s', step: '+3h', installed: true, env });
        assert.equal(ran.code, 0, ran.err);
        const [one, two] = got.metrics;
        assert.equal(two.startTimeUnixNano, one.timeUnixNano);
        for (const { what, missedNs, attributes } of compared(got, ran.reports)) {
            const statedNs = attributes['ntp_clock.max_error_ns'];
            assert.ok(missedNs <= statedNs, `${what}: ${missedNs} ns off, ${statedNs} ns stated`);
        }
    });

    const marks = (got, items) =>
        items.map((item) => got.attributesOf(item)['ntp_clock.synchronised']);

    test(
        'without a server all leaves after the time-out, as it is and marked',
        { skip },
        async (t) => {
            const got = await collector(t);
            const options = {
                OTEL_OPTIONS: '{"waitMs": 200}',
                PORTACODE_NTP_SERVER: '127.0.0.1:1',
            };
            const ran = await run(t, {
                fake: '+3h',
                installed: true,
                env: { ...options, COLLECTOR: got.url },
            });
            assert.equal(ran.code, 0, ran.err);
            assertWhole(got, ran.reports);
            const all = [got.spans, got.logs, got.metrics].flatMap((items) => marks(got, items));
            assert.deepEqual([...new Set(all)], [false]);
            const threeHours = 3 * 3600e9;
            for (const { what, missedNs } of compared(got, ran.reports)) {
                assert.ok(
                    Math.abs(missedNs - threeHours) < 60e9,
                    `${what} was changed: ${missedNs} ns off`,
                );
            }
        },
    );

    test(
        'what comes after a first synchronisation that was later than the time-out is true',
        { skip },
        async (t) => {
            const server = await faultyServer(t, '--delay', '150ms');
            const got = await collector(t);
            const options = { OTEL_OPTIONS: '{"waitMs": 50}', PORTACODE_NTP_SERVER: server };
            const ran = await run(t, {
                fake: '+3h',
                installed: true,
                env: { ...options, COLLECTOR: got.url },
            });
            assert.equal(ran.code, 0, ran.err);
            assertWhole(got, ran.reports);
            assert.ok(marks(got, got.spans).includes(true), 'some are dated');
            for (const { what, missedNs, attributes } of compared(got, ran.reports)) {
                if (attributes['ntp_clock.synchronised'] === false) continue;
                const statedNs = attributes['ntp_clock.max_error_ns'];
                assert.ok(
                    missedNs <= statedNs,
                    `${what}: ${missedNs} ns off, ${statedNs} ns stated`,
                );
            }
        },
    );

    test('a program that ends at once, without a flush, loses none that it does not lose by itself', async (t) => {
        const [got, bare] = [await collector(t), await collector(t)];
        const program = { program: 'otel-short.mjs' };
        const env = { PORTACODE_NTP_SERVER: '127.0.0.1:1' };
        await run(t, { ...program, env: { ...env, COLLECTOR: bare.url } });
        await run(t, { ...program, installed: true, env: { ...env, COLLECTOR: got.url } });
        assert.equal(bare.spans.length, 3);
        assert.equal(got.spans.length, 3);
        assert.deepEqual(marks(got, got.spans), [false, false, false]);
    });

    for (const [what, faults] of [
        ['the clock is synchronised', ['--delay', '20ms']],
        ['the clock is never synchronised', ['--loss', '1']],
    ]) {
        test(`of 100 000 spans none is lost or doubled where ${what}`, async (t) => {
            const server = await faultyServer(t, ...faults);
            const got = await collector(t);
            const ran = await run(t, {
                program: 'otel-many.mjs',
                installed: true,
                env: {
                    OTEL_OPTIONS: '{"waitMs": 500}',
                    PORTACODE_NTP_SERVER: server,
                    COLLECTOR: got.url,
                },
            });
            assert.equal(ran.code, 0, ran.err);
            assert.equal(got.spans.length, 100_000);
            assert.equal(new Set(got.spans.map(({ name }) => name)).size, 100_000);
            const said = new Set(marks(got, got.spans));
            assert.ok([...said].every((mark) => typeof mark === 'boolean'));
        });
    }
});
