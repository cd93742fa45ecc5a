// 100 000 spans by a program that leaves its exporter time, so that the SDK's own queue is not full.

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const exporter = new OTLPTraceExporter({
    url: `${process.env.COLLECTOR}/v1/traces`,
    concurrencyLimit: 1000,
    // However busy the machine is: what is lost to a time limit is not what is counted here.
    timeoutMillis: 120_000,
});
const processor = new BatchSpanProcessor(exporter, {
    maxQueueSize: 100_000,
    exportTimeoutMillis: 120_000,
});
const provider = new NodeTracerProvider({
    spanProcessors: [processor],
    forceFlushTimeoutMillis: 120_000,
});
provider.register();
const tracer = provider.getTracer('many');
for (let i = 0; i < 100_000; i += 1) {
    tracer.startSpan(`span ${i}`).end();
    if (i % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
await provider.forceFlush();
await provider.shutdown();
