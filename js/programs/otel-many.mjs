// 100 000 spans by a program that leaves its exporter time, so that the SDK's own queue is not full.

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const exporter = new OTLPTraceExporter({
    url: `${process.env.COLLECTOR}/v1/traces`,
    concurrencyLimit: 1000,
});
const processor = new BatchSpanProcessor(exporter, { maxQueueSize: 100_000 });
const provider = new NodeTracerProvider({ spanProcessors: [processor] });
provider.register();
const tracer = provider.getTracer('many');
for (let i = 0; i < 100_000; i += 1) {
    tracer.startSpan(`span ${i}`).end();
    if (i % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
await provider.forceFlush();
await provider.shutdown();
