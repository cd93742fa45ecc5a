// OpenTelemetry as its own guide has it: NodeSDK, one exporter, one instrumentation.
'use strict';

const { NodeSDK } = require('@opentelemetry/sdk-node');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');

const sdk = new NodeSDK({
    traceExporter: new OTLPTraceExporter(),
    instrumentations: [new HttpInstrumentation()],
});
sdk.start();

// The demo closes our standard input when it ends.
process.stdin.on('end', () => sdk.shutdown().finally(() => process.exit()));
process.stdin.resume();
