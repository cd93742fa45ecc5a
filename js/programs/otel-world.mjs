// An ordinary program with OpenTelemetry, for tools/otel_swarm.py; it prints when things happened.
// docs/OPENTELEMETRY.md says which variables it obeys. TRUE_TIME=0: the same without our line.

import { renameSync, writeFileSync } from 'node:fs';
import { context, trace } from '@opentelemetry/api';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const { env } = process;
const number = (name, otherwise) => Number(env[name] ?? otherwise);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// An exporter refuses what comes while 30 requests are under way, and many spans are more.
const spanExporter = new OTLPTraceExporter({ concurrencyLimit: 1000 });
const tracerProvider = new NodeTracerProvider({
    spanProcessors: [new BatchSpanProcessor(spanExporter)],
});
const loggerProvider = new LoggerProvider({
    processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })],
});
const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter(),
    exportIntervalMillis: 60_000,
});
const meterProvider = new MeterProvider({ readers: [reader] });
if (env.TRUE_TIME !== '0') {
    const { install } = await import('../../portacode/static/js/utils/otel.js');
    install({ tracerProvider, loggerProvider, meterProvider });
}
const tracer = tracerProvider.getTracer('truth');
const logger = loggerProvider.getLogger('truth');

const now = () => String(process.hrtime.bigint());
function note(id, times) {
    process.stdout.write(`${JSON.stringify({ id, counter: 'monotonic', ...times })}\n`);
}

/** Has libfaketime step the system's clock. */
function step() {
    if (env.STEP_FILE === undefined) return;
    // Renamed, so that nobody reads half of it.
    writeFileSync(`${env.STEP_FILE}.new`, env.STEP_TO);
    renameSync(`${env.STEP_FILE}.new`, env.STEP_FILE);
}

/** A span with an event, and another one within it. */
function span(name) {
    const within = `${name}, within`;
    const id = (item) => ({ attributes: { 'truth.id': item } });
    const at = [now()];
    const outer = tracer.startSpan(name, id(name));
    at.push(now());
    const inner = tracer.startSpan(within, id(within), trace.setSpan(context.active(), outer));
    at.push(now());
    if (name === 'stepped') step();
    at.push(now());
    outer.addEvent('here');
    at.push(now());
    inner.end();
    at.push(now());
    outer.end();
    at.push(now());
    note(within, { start: [at[1], at[2]], end: [at[4], at[5]] });
    note(name, { start: [at[0], at[1]], 'event 0 here': [at[3], at[4]], end: [at[5], at[6]] });
}

function log(name) {
    const from = now();
    logger.emit({ body: name, attributes: { 'truth.id': name } });
    const both = [from, now()];
    note(name, { timestamp: both, observed: both });
}

async function work(thread) {
    for (let turn = 0; turn < number('SPANS', 5); turn += 1) {
        span(`span ${thread} ${turn}`);
        if (turn < 100) log(`log ${thread} ${turn}`);
        // What makes spans without a rest has its exporter wait for it.
        if (number('PAUSE_MS', 0) > 0 || turn % 100 === 99) await pause(number('PAUSE_MS', 0));
    }
}

const before = now();
meterProvider.getMeter('truth').createCounter('counted').add(1, { 'truth.id': 'counted' });
note('counted', { since: [before, now()] });
if (env.SYNCHRONISE === '1' && env.TRUE_TIME !== '0') {
    const { ntpClock } = await import('../../portacode/static/js/utils/ntp-clock.js');
    if (!(await ntpClock.waitSynced({ timeout: 10_000 }))) throw new Error('no time within 10 s');
}
await Promise.all(Array.from({ length: number('THREADS', 1) }, (_, thread) => work(thread)));
span('stepped');
await meterProvider.forceFlush().catch(() => {});
await pause(number('REST_MS', 0));
span('last');
log('last log');
for (const provider of [tracerProvider, loggerProvider, meterProvider]) {
    await provider.shutdown().catch(() => {});
}
