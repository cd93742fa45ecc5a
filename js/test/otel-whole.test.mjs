// Gate, hooks and dating together, in the SDK's own provider.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    BasicTracerProvider,
    BatchSpanProcessor,
    InMemorySpanExporter,
    SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import {
    InMemoryLogRecordExporter,
    LoggerProvider,
    SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs';
import { Exporters } from '../otel/exporters.js';
import { logHook, spanHook } from '../otel/marks.js';
import { wrapLoggerProvider, wrapTracerProvider } from '../otel/wrap.js';

const TRUE_MS = 1_900_000_000_000;

for (const Processor of [SimpleSpanProcessor, BatchSpanProcessor]) {
    test(`${Processor.name}: spans that ended before the first synchronisation leave in true time, within their stated error`, async () => {
        const receiver = new InMemorySpanExporter();
        const provider = new BasicTracerProvider({ spanProcessors: [new Processor(receiver)] });
        let synchronised = false;
        const moment = (ms) =>
            synchronised ? { timeMs: TRUE_MS + ms, maxErrorMs: 2, estErrorMs: 1, epoch: 0 } : null;
        const dates = {
            moment,
            somewhere: (from) => moment(from),
            shown: () => null,
            sample() {},
            sampleIfDue() {},
            whenSynchronised() {},
            server: 'test',
            awaited: false,
            get synchronised() {
                return synchronised;
            },
        };
        const exporters = new Exporters({ dates, limits: {}, order: () => null, failed() {} });
        const [gate] = wrapTracerProvider(
            provider,
            (exporter) => exporters.ofSpans(exporter),
            spanHook(dates),
        );
        const tracer = provider.getTracer('test');
        const truths = new Map();
        const work = (name) => {
            const before = performance.now();
            const span = tracer.startSpan(name);
            const started = performance.now();
            span.end();
            truths.set(name, { before, started, after: performance.now() });
        };
        for (let i = 0; i < 100; i += 1) work(`early ${i}`);
        assert.deepEqual(receiver.getFinishedSpans(), []);
        synchronised = true;
        gate.open();
        for (let i = 0; i < 100; i += 1) work(`late ${i}`);
        await provider.forceFlush();
        const spans = receiver.getFinishedSpans();
        assert.deepEqual(
            spans.map(({ name }) => name),
            [...truths.keys()],
        );
        for (const { name, startTime, endTime, attributes } of spans) {
            const { before, started, after } = truths.get(name);
            const errorMs = attributes['ntp_clock.max_error_ns'] / 1e6 + 0.001;
            const ms = ([s, ns]) => s * 1000 - TRUE_MS + ns / 1e6;
            assert.equal(attributes['ntp_clock.synchronised'], true, name);
            assert.ok(ms(startTime) >= before - errorMs, name);
            assert.ok(ms(startTime) <= started + errorMs, name);
            assert.ok(ms(endTime) <= after + errorMs, name);
        }
        await provider.shutdown();
    });
}

test('a span and a log record whose dating fails leave as they are, and say that they are not synchronised', async () => {
    const broken = () => {
        throw new Error('no history');
    };
    const dates = {
        ...{ moment: broken, somewhere: broken, shown: broken },
        ...{ sample() {}, sampleIfDue() {}, whenSynchronised() {} },
        ...{ server: 'test', awaited: false, synchronised: true },
    };
    const failures = [];
    const failed = (error) => failures.push(error.message);
    const exporters = new Exporters({ dates, limits: {}, order: () => null, failed });

    const spans = new InMemorySpanExporter();
    const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
    wrapTracerProvider(tracers, (inner) => exporters.ofSpans(inner), spanHook(dates));
    const span = tracers.getTracer('test').startSpan('work', { attributes: { own: 1 } });
    span.end();

    const records = new InMemoryLogRecordExporter();
    const processors = [new SimpleLogRecordProcessor({ exporter: records })];
    const loggers = new LoggerProvider({ processors });
    wrapLoggerProvider(loggers, (inner) => exporters.ofLogs(inner), logHook(dates));
    loggers.getLogger('test').emit({ body: 'line', attributes: { own: 1 } });

    await Promise.all([tracers.forceFlush(), loggers.forceFlush()]);
    const left = [...spans.getFinishedSpans(), ...records.getFinishedLogRecords()];
    assert.deepEqual(
        left.map(({ attributes }) => attributes),
        Array(2).fill({ own: 1, 'ntp_clock.synchronised': false }),
    );
    assert.deepEqual(left[0].startTime, span.startTime);
    assert.deepEqual(failures, ['no history', 'no history']);
    assert.deepEqual(span.attributes, { own: 1 }, "the program's own stays as it was");
    await Promise.all([tracers.shutdown(), loggers.shutdown()]);
});
