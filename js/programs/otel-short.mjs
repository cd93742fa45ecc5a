// A program that ends at once, and leaves the SDK to itself.

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const exporter = new OTLPTraceExporter({ url: `${process.env.COLLECTOR}/v1/traces` });
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();
for (let i = 0; i < 3; i += 1) provider.getTracer('short').startSpan(`span ${i}`).end();
