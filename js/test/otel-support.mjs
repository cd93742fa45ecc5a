// A receiver of OTLP, and programs whose system clock is wrong.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { folder } from './support.mjs';

const here = (name) => fileURLToPath(new URL(`../programs/${name}`, import.meta.url));
const MACHINE = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
const FAKETIME = `/usr/lib/${MACHINE}-linux-gnu/faketime/libfaketime.so.1`;

/** Else the test is skipped, and says why. */
export const hasFaketime = existsSync(FAKETIME) ? false : 'needs libfaketime: apt install faketime';

/** process.hrtime and true time, in nanoseconds. */
function offsetNs() {
    let found;
    let closest = Infinity;
    for (let tries = 0; tries < 1000; tries += 1) {
        const from = process.hrtime.bigint();
        const truthMs = performance.timeOrigin + performance.now();
        const width = Number(process.hrtime.bigint() - from);
        if (width >= closest) continue;
        closest = width;
        found = BigInt(Math.round(truthMs * 1e6)) - from;
    }
    return found;
}

const OFFSET_NS = offsetNs();
/** The rounding of milliseconds since 1970, and what the machine's own clock was turned by. */
const OWN_ERROR_NS = 200_000n;

/** By how much a time is outside of when it happened, nanoseconds. */
export function missNs(timeNs, [from, to]) {
    const [least, most] = [BigInt(from) + OFFSET_NS, BigInt(to) + OFFSET_NS];
    const early = least - BigInt(timeNs);
    const late = BigInt(timeNs) - most;
    const miss = (early > late ? early : late) - OWN_ERROR_NS;
    return miss > 0n ? Number(miss) : 0;
}

const plain = ({ stringValue, intValue, boolValue, doubleValue }) =>
    stringValue ?? boolValue ?? doubleValue ?? (intValue === undefined ? null : Number(intValue));
const attributesOf = ({ attributes = [] }) =>
    Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]));

/** A collector that keeps all that comes, until the test's end. */
export async function collector(t) {
    const got = { spans: [], logs: [], metrics: [] };
    const takers = {
        '/v1/traces': ({ resourceSpans }) => {
            for (const { scopeSpans } of resourceSpans) {
                for (const { spans } of scopeSpans) got.spans.push(...spans);
            }
        },
        '/v1/logs': ({ resourceLogs }) => {
            for (const { scopeLogs } of resourceLogs) {
                for (const { logRecords } of scopeLogs) got.logs.push(...logRecords);
            }
        },
        '/v1/metrics': ({ resourceMetrics }) => {
            for (const { resource, scopeMetrics } of resourceMetrics) {
                for (const { metrics } of scopeMetrics) {
                    for (const metric of metrics) {
                        const points = (metric.sum ?? metric.gauge).dataPoints;
                        const attributes = resource.attributes;
                        for (const point of points) {
                            got.metrics.push({ ...point, name: metric.name, attributes });
                        }
                    }
                }
            }
        },
    };
    const server = createServer((request, response) => {
        const parts = [];
        request.on('data', (part) => parts.push(part));
        request.on('end', () => {
            const taken = JSON.parse(Buffer.concat(parts).toString());
            for (const item of Object.values(taken)) item.toString();
            takers[request.url](taken);
            response.writeHead(200, { 'content-type': 'application/json' });
            response.end('{}');
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    got.url = `http://127.0.0.1:${server.address().port}`;
    got.attributesOf = attributesOf;
    return got;
}

/**
 * Starts the program with a system clock that is wrong by `fake` (faketime's words), and is stepped
 * to `step`; `installed`: with the one line more. `line(test)` gives the first line that it tells
 * for which the test holds, and `ended` all lines.
 */
export function start(t, { program = 'otel-program.mjs', fake, step, installed, env = {} }) {
    const stepFile = join(folder(t), 'faketime');
    if (fake !== undefined) writeFileSync(stepFile, fake);
    const args = installed ? ['--import', here('otel-register.mjs')] : [];
    const child = spawn(process.execPath, [...args, here(program)], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
            ...process.env,
            ...(fake !== undefined && {
                LD_PRELOAD: FAKETIME,
                FAKETIME_DONT_FAKE_MONOTONIC: '1',
                FAKETIME_NO_CACHE: '1',
                FAKETIME_TIMESTAMP_FILE: stepFile,
            }),
            ...(step !== undefined && { STEP: step }),
            STEP_FILE: stepFile,
            ...env,
        },
    });
    t.after(() => child.kill('SIGKILL'));
    let err = '';
    const reports = [];
    const lines = createInterface(child.stdout);
    lines.on('line', (line) => line.startsWith('{') && reports.push(JSON.parse(line)));
    child.stderr.on('data', (part) => (err += part));
    const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, err, reports }));
    async function line(wanted) {
        for (;;) {
            const found = reports.find(wanted);
            if (found !== undefined) return found;
            await Promise.race([once(lines, 'line'), ended.then(() => Promise.reject(err))]);
        }
    }
    return { child, ended, line };
}

/** Runs it to its end. */
export const run = (t, options) => start(t, options).ended;
