// A page that is asleep for an hour, as the SDK and the clock see that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    BasicTracerProvider,
    BatchSpanProcessor,
    InMemorySpanExporter,
} from '@opentelemetry/sdk-trace-base';
import {
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    LoggerProvider,
} from '@opentelemetry/sdk-logs';
import { glue } from './otel-glue.mjs';
import { clockOf, honest, pause, relay, underClocks } from './support.mjs';

const HOUR_MS = 3_600_000;
const { Dates } = await glue('dates.js');
const { Exporters } = await import('../otel/exporters.js');
const { logHook, spanHook } = await import('../otel/marks.js');
const { wrapLoggerProvider, wrapTracerProvider } = await import('../otel/wrap.js');

/** Date.now(), performance.now() and the truth of a machine whose clock is wrong by `wrongMs`. */
async function machine(t, { wrongMs, counts }) {
    const asleep = { ms: 0 };
    const now = performance.now.bind(performance);
    const local = () => now() + (counts ? asleep.ms : 0);
    const monotonic = now();
    const began = performance.timeOrigin + monotonic;
    const trueMs = () => began + (now() - monotonic) + asleep.ms;
    const { clocks, NTPClock } = await underClocks();
    clocks.wall = () => Math.floor(trueMs() + wrongMs);
    clocks.local = local;
    t.mock.method(Date, 'now', () => clocks.wall());
    t.mock.method(performance, 'now', () => clocks.local());
    // What the wrong clock showed when the page began.
    const timeOrigin = began - monotonic + wrongMs;
    Object.defineProperty(performance, 'timeOrigin', { value: timeOrigin, configurable: true });
    t.after(() => delete performance.timeOrigin);
    const { http } = await relay(t, (id) => ({
        request_id: id,
        ...honest(trueMs()),
        server_send_time: trueMs(),
    }));
    const clock = clockOf(t, { relay: http }, NTPClock);
    return { clock, trueMs, sleep: () => (asleep.ms += HOUR_MS) };
}

const ms = ([seconds, ns]) => seconds * 1000 + ns / 1e6;

for (const [what, counts] of [
    ['stops performance.now()', false],
    ['does not stop performance.now()', true],
]) {
    test(`spans and logs before, across and after a sleep that ${what} are true`, async (t) => {
        const { clock, trueMs, sleep } = await machine(t, { wrongMs: -2000, counts });
        const dates = new Dates(clock);
        t.after(() => dates.close());
        const errors = [];
        const failed = (error) => errors.push(error);
        const exporters = new Exporters({ dates, limits: {}, order: () => null, failed });
        const spans = new InMemorySpanExporter();
        const records = new InMemoryLogRecordExporter();
        const provider = new BasicTracerProvider({
            spanProcessors: [new BatchSpanProcessor(spans)],
        });
        const processors = [new BatchLogRecordProcessor({ exporter: records })];
        const loggers = new LoggerProvider({ processors });
        wrapTracerProvider(provider, (inner) => exporters.ofSpans(inner), spanHook(dates));
        wrapLoggerProvider(loggers, (inner) => exporters.ofLogs(inner), logHook(dates));
        const tracer = provider.getTracer('page');
        const logger = loggers.getLogger('page');
        const truths = new Map();
        const begin = (name) => {
            const from = trueMs();
            const span = tracer.startSpan(name);
            truths.set(name, { start: [from, trueMs()] });
            return () => {
                const ended = trueMs();
                span.end();
                truths.get(name).end = [ended, trueMs()];
                logger.emit({ body: name });
            };
        };
        const endEarly = begin('across synchronisation and sleep');
        begin('before synchronisation')();
        assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
        await clock.sync();
        begin('before the sleep')();
        // It is sampled once a second.
        await pause(1100);
        const endAcross = begin('across the sleep');
        sleep();
        endAcross();
        endEarly();
        begin('after the sleep')();
        assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
        await clock.sync();
        begin('long after')();
        await provider.forceFlush();
        await loggers.forceFlush();
        assert.deepEqual(errors, []);
        const near = (what, time, [from, to], attributes) => {
            const error = attributes['ntp_clock.max_error_ns'] / 1e6;
            assert.equal(attributes['ntp_clock.synchronised'], true, what);
            const at = `${what}: ${ms(time) - from} ms after it began, ${error} ms stated`;
            assert.ok(ms(time) >= from - error - 0.1 && ms(time) <= to + error + 0.1, at);
            return error;
        };
        const seen = spans.getFinishedSpans();
        assert.equal(seen.length, 6);
        for (const { name, startTime, endTime, attributes } of seen) {
            const { start, end } = truths.get(name);
            near(`${name}: start`, startTime, start, attributes);
            const error = near(`${name}: end`, endTime, end, attributes);
            const touches = /across|^after/.test(name);
            assert.ok(touches || error < 1000, `${name}: ${error} ms stated`);
        }
        const logged = records.getFinishedLogRecords();
        assert.equal(logged.length, 6);
        for (const { body, hrTime, attributes } of logged) {
            near(`${body}: log`, hrTime, truths.get(body).end, attributes);
        }
    });
}
