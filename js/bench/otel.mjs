// What a span costs with and without the clock, in turns: node --expose-gc otel.mjs NTP_SERVER

import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

process.env.PORTACODE_NTP_SERVER = process.argv[2];
const utils = new URL('../../portacode/static/js/utils/', import.meta.url);
const { default: clock } = await import(fileURLToPath(new URL('ntp-clock.js', utils)));
const { install } = await import(fileURLToPath(new URL('otel.js', utils)));
const { JsonTraceSerializer } = createRequire(import.meta.url)('@opentelemetry/otlp-transformer');

const SPANS = 2000;
const ROUNDS = 120;
const WARMING = 20;

/** Serialises as an OTLP exporter does, and sends nothing. */
class Exporter {
    bytes = 0;

    export(spans, done) {
        this.bytes += JsonTraceSerializer.serializeRequest(spans).length;
        done({ code: 0 });
    }

    async shutdown() {}
}

function made() {
    const processor = new BatchSpanProcessor(new Exporter(), {
        maxQueueSize: 2 * SPANS,
        maxExportBatchSize: 512,
        scheduledDelayMillis: 3_600_000,
    });
    // A batch leaves as it is full, within the program's own loop otherwise.
    processor._maybeStartTimer = () => {};
    const provider = new BasicTracerProvider({ spanProcessors: [processor] });
    return { provider, tracer: provider.getTracer('bench') };
}

async function timed({ provider, tracer }) {
    // What the exporter of the block before left to be collected is not this one's.
    globalThis.gc?.();
    const began = performance.now();
    for (let i = 0; i < SPANS; i += 1) {
        const span = tracer.startSpan('work');
        span.setAttribute('http.request.method', 'GET');
        span.setAttribute('url.path', '/items');
        span.end();
    }
    const spans = performance.now() - began;
    await provider.forceFlush();
    return { spans, total: performance.now() - began };
}

if (!(await clock.waitSynced({ timeout: 5000 }))) throw new Error(clock.getStatus().lastError);
const [bare, dated] = [made(), made()];
install({ tracerProvider: dated.provider });
const ratios = { spans: [], total: [] };
const costs = { bare: [], dated: [] };
for (let round = 0; round < ROUNDS; round += 1) {
    // Who goes first has the warmer, or the colder, machine.
    const pair = round % 2 === 0 ? [bare, dated] : [dated, bare];
    const first = await timed(pair[0]);
    const second = await timed(pair[1]);
    const [a, b] = round % 2 === 0 ? [first, second] : [second, first];
    if (round < WARMING) continue;
    for (const name in ratios) ratios[name].push(Math.log(b[name] / a[name]));
    costs.bare.push(a);
    costs.dated.push(b);
}

/** The mean ratio, and the limits of its 95 % confidence interval. */
function summary(logs) {
    const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length;
    const square = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const error = 1.96 * Math.sqrt(square / (logs.length - 1) / logs.length);
    return [mean, mean - error, mean + error].map((value) => Number(Math.exp(value).toFixed(3)));
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const perSpan = (rounds, name) =>
    Math.round((median(rounds.map((round) => round[name])) * 1e6) / SPANS);
const report = {};
for (const name in ratios) {
    report[name] = {
        ratio: summary(ratios[name]),
        bareNs: perSpan(costs.bare, name),
        datedNs: perSpan(costs.dated, name),
    };
}
console.log(JSON.stringify(report));
