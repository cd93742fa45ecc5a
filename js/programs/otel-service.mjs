// One of two programs: a server, or a client of it by fetch and by http.request, instrumented as usual.

import { createRequire } from 'node:module';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const { COLLECTOR, SERVER, REQUESTS = '6' } = process.env;
const exporter = new OTLPTraceExporter({ url: `${COLLECTOR}/v1/traces` });
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
provider.register();
registerInstrumentations({
    tracerProvider: provider,
    instrumentations: [new HttpInstrumentation(), new UndiciInstrumentation()],
});
const http = createRequire(import.meta.url)('http');
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const now = () => String(process.hrtime.bigint());
const tell = (line) => console.log(JSON.stringify(line));

const byHttp = (url) =>
    new Promise((resolve, reject) => {
        const request = http.request(url, (response) => {
            response.resume();
            response.on('end', () => resolve(response.headers));
        });
        request.on('error', reject);
        request.end();
    });

if (SERVER === undefined) {
    const server = http.createServer((request, response) => {
        tell({ handled: request.url, at: now() });
        if (request.url === '/end') server.close();
        response.end('done');
    });
    server.listen(0, '127.0.0.1', () => tell({ port: server.address().port }));
    await new Promise((resolve) => server.on('close', resolve));
} else {
    // Its clock is to be synchronised by then, or not: exchanges need no synchronised clock.
    for (let i = 0; i < Number(REQUESTS); i += 1) {
        for (const [kind, send] of [
            ['fetch', async (url) => Object.fromEntries((await fetch(url)).headers)],
            ['http', byHttp],
        ]) {
            const from = now();
            const headers = await send(`${SERVER}/${kind}${i}`);
            tell({ sent: `/${kind}${i}`, from, answer: headers['ntp-clock-exchange'] ?? null });
            await pause(20);
        }
    }
    await byHttp(`${SERVER}/end`);
}
await provider.forceFlush();
await provider.shutdown();
