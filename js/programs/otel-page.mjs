// A page with OpenTelemetry's SDK, as its makers have it: it knows nothing of the clock.

import { trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { WebTracerProvider } from '@opentelemetry/sdk-trace-web';

const exporter = new OTLPTraceExporter({ url: `${location.origin}/v1/traces` });
const provider = new WebTracerProvider({
    spanProcessors: [new BatchSpanProcessor(exporter, { scheduledDelayMillis: 200 })],
});
provider.register();
const tracer = trace.getTracer('page');

window.truths = {};
/** Starts a span; `trueMs()` is the test's. */
window.begin = (name) => {
    const from = window.trueMs();
    const span = tracer.startSpan(name);
    const truth = (window.truths[name] = { start: [from, window.trueMs()] });
    return () => {
        const ended = window.trueMs();
        span.end();
        truth.end = [ended, window.trueMs()];
    };
};
window.flush = () => provider.forceFlush();
