// Gate, hooks and dating together, in the SDK's own provider.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    BasicTracerProvider,
    BatchSpanProcessor,
    InMemorySpanExporter,
    SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { Exporters } from '../otel/exporters.js';
import { spanHook } from '../otel/marks.js';
import { wrapTracerProvider } from '../otel/wrap.js';

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
