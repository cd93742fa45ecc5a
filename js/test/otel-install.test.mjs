// Options of install(), and a page that forbids what it needs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultTextMapSetter, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
    BasicTracerProvider,
    InMemorySpanExporter,
    SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { install } from '../../portacode/static/js/utils/otel.js';

const INSTALLED = Symbol.for('portacode.ntp-clock.otel');

/** What a request would carry. */
function injected() {
    const spanContext = {
        traceId: '0af7651916cd43dd8448eb211c80319c',
        spanId: 'b7ad6b7169203331',
        traceFlags: 1,
    };
    const carrier = {};
    const context = trace.setSpanContext(ROOT_CONTEXT, spanContext);
    propagation.inject(context, carrier, defaultTextMapSetter);
    return carrier;
}

test('a page that forbids WebAssembly goes on: spans leave as they are, say so, and the console says why', async (t) => {
    t.after(() => delete globalThis[INSTALLED]);
    t.mock.method(WebAssembly, 'Module', function () {
        throw new WebAssembly.CompileError('blocked by CSP');
    });
    const warned = t.mock.method(console, 'warn', () => {});
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({
        spanProcessors: [new SimpleSpanProcessor(exporter)],
    });
    install({ tracerProvider });
    const span = tracerProvider.getTracer('page').startSpan('work');
    span.end();
    await tracerProvider.forceFlush();
    const [left] = exporter.getFinishedSpans();
    assert.deepEqual(left.startTime, span.startTime);
    assert.deepEqual(left.attributes, { 'ntp_clock.synchronised': false });
    assert.match(warned.mock.calls[0].arguments[0], /blocked by CSP.*wasm-unsafe-eval/);
});

for (const exchanges of [true, false]) {
    test(`with exchanges ${exchanges}, requests ${exchanges ? '' : 'do not '}carry our member`, (t) => {
        t.after(() => {
            propagation.disable();
            delete globalThis[INSTALLED];
        });
        install({ exchanges });
        propagation.setGlobalPropagator(new W3CTraceContextPropagator());
        const { traceparent, tracestate } = injected();
        assert.match(traceparent, /^00-/);
        assert.equal(tracestate?.startsWith('ntpclock=1.') ?? false, exchanges);
    });
}
