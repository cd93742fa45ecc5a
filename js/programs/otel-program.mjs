// A program of OpenTelemetry's SDK as any other: it knows nothing of the clock. It writes when things
// happened by process.hrtime to standard output, one JSON to a line.

import { writeFileSync } from 'node:fs';
import { metrics, trace } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const { COLLECTOR: collector, STEP_FILE: stepFile, STEP, SPANS = '20' } = process.env;
const url = (signal) => ({ url: `${collector}/v1/${signal}` });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const spanProcessors = [
    new BatchSpanProcessor(new OTLPTraceExporter(url('traces')), { scheduledDelayMillis: 300 }),
];
const tracerProvider = new NodeTracerProvider({ spanProcessors });
tracerProvider.register();
const loggerProvider = new LoggerProvider({
    processors: [
        new BatchLogRecordProcessor({
            exporter: new OTLPLogExporter(url('logs')),
            scheduledDelayMillis: 300,
        }),
    ],
});
logs.setGlobalLoggerProvider(loggerProvider);
const exporter = new OTLPMetricExporter({
    ...url('metrics'),
    temporalityPreference: Number(process.env.TEMPORALITY ?? 1),
});
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 });
const meterProvider = new MeterProvider({ readers: [reader] });
metrics.setGlobalMeterProvider(meterProvider);

const lines = [];
/** What `work` gives, and between which moments it happened. */
function seen(work) {
    const from = process.hrtime.bigint();
    const result = work();
    return [result, [String(from), String(process.hrtime.bigint())]];
}

const tracer = trace.getTracer('program');
const logger = logs.getLogger('program');
function work(name, inside = () => {}) {
    const [span, start] = seen(() => tracer.startSpan(name));
    inside();
    const [, event] = seen(() => span.addEvent('event'));
    const [, log] = seen(() => logger.emit({ body: name }));
    const [, end] = seen(() => span.end());
    lines.push({ name, start, event, log, end });
}

const [counter, counterFrom] = seen(() => metrics.getMeter('program').createCounter('things'));
counter.add(1);
async function collect(name) {
    const from = process.hrtime.bigint();
    await meterProvider.forceFlush();
    const end = [String(from), String(process.hrtime.bigint())];
    lines.push({ metrics: name, start: [counterFrom[0], end[0]], end });
}

work('first', () => work('child of first'));
const [across, acrossStart] = seen(() => tracer.startSpan('across'));
await pause(700);
for (let i = 0; i < Number(SPANS); i += 1) work(`span ${i}`, () => work(`child ${i}`));
await collect('one');
if (STEP !== undefined) writeFileSync(stepFile, STEP);
await pause(500);
work('after the step');
const [, acrossEnd] = seen(() => across.end());
lines.push({ name: 'across', start: acrossStart, end: acrossEnd });
counter.add(1);
await collect('two');
await tracerProvider.forceFlush();
await loggerProvider.forceFlush();
await Promise.all([tracerProvider, loggerProvider, meterProvider].map((one) => one.shutdown()));
for (const line of lines) console.log(JSON.stringify(line));
