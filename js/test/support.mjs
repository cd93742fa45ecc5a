// Servers, programs and patience for the tests.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import dgram from 'node:dgram';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { WebSocket, WebSocketServer } from 'ws';

// Before the clock is imported anywhere: tests leave the Internet alone.
process.env.PORTACODE_NTP_SERVER = '127.0.0.1:1';
// Node 20 has none of its own.
globalThis.WebSocket ??= WebSocket;

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const MODULE = join(ROOT, 'portacode/static/js/utils/ntp-clock.js');
export const module = await import(MODULE);
export const { NTPClock, ManualClock } = module;

let copies = 0;

/**
 * The module as imported while these stand in the place of Date.now and performance.now, which it
 * keeps. Both are a test's to change: `clocks.wall` and `clocks.local`.
 */
export async function underClocks() {
    const real = { wall: Date.now, local: performance.now };
    const clocks = { wall: () => real.wall(), local: () => real.local.call(performance) };
    Date.now = () => clocks.wall();
    performance.now = () => clocks.local();
    try {
        return { clocks, ...(await import(`${MODULE}?under-clocks-${copies++}`)) };
    } finally {
        Date.now = real.wall;
        performance.now = real.local;
    }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether it happens in time. */
export async function eventually(happened, withinMs = 60_000) {
    for (const ends = Date.now() + withinMs; Date.now() < ends; await pause(10)) {
        if (happened()) return true;
    }
    return false;
}

/** Asks until a round is answered: on a busy machine one may get no reply. */
export async function syncs(clock) {
    for (const ends = Date.now() + 60_000; Date.now() < ends; ) {
        if (await clock.sync()) return;
    }
    assert.fail(`no round is answered: ${JSON.stringify(clock.getStatus())}`);
}

/** The first round is over, its spread requests too, which `sync()` does not wait for. */
export async function firstRoundOver(clock) {
    const synced = gathered(clock, 'sync');
    assert.ok(await eventually(() => synced.length > 0), 'the first round is over');
}

/** Gathers the details of events of these types, in their order. */
export function gathered(clock, ...types) {
    const seen = [];
    for (const type of types) clock.addEventListener(type, ({ detail }) => seen.push(detail));
    return seen;
}

/** The wall clock to the precision of the counter; the truth of all servers here. */
export const truth = () => performance.timeOrigin + performance.now();

/** A clock's reading is within its bound of the truth, however long it took to read; the bound. */
export function near(clock) {
    const before = truth();
    const { timeMs, maxErrorMs } = clock.read();
    const after = truth();
    assert.ok(timeMs + maxErrorMs >= before, `${before - timeMs} ms slow, bound ${maxErrorMs} ms`);
    assert.ok(timeMs - maxErrorMs <= after, `${timeMs - after} ms fast, bound ${maxErrorMs} ms`);
    return maxErrorMs;
}

/** A port that the system gives to nobody by itself, as it might before it is used. */
export async function freeUdpPort() {
    for (;;) {
        const port = 10_000 + Math.floor(Math.random() * 10_000);
        const socket = dgram.createSocket('udp4');
        const isFree = await new Promise((resolve) => {
            socket.once('error', () => resolve(false));
            socket.bind(port, '127.0.0.1', () => resolve(true));
        });
        socket.close();
        if (isFree) return port;
    }
}

/** Whether an NTP server of this machine answers on this port. */
async function answers(port) {
    const socket = dgram.createSocket('udp4');
    // A client's request of version 4; where nobody listens, sending or receiving fails.
    const request = Buffer.from([0x23, ...Array(47).fill(0)]);
    const answered = await new Promise((resolve) => {
        socket.once('error', () => resolve(false));
        socket.once('message', () => resolve(true));
        socket.connect(port, '127.0.0.1', () => socket.send(request));
        setTimeout(resolve, 200, false);
    });
    socket.close();
    return answered;
}

/** A folder that is gone after the test. */
export function folder(t) {
    const path = mkdtempSync(join(tmpdir(), 'ntp-clock-js-'));
    t.after(() => rmSync(path, { recursive: true }));
    return path;
}

/** Whether the program is there: else the test is skipped, and says why. */
export function has(program, install) {
    const found = spawnSync(program, ['--version']);
    return found.error ? `needs ${program}: ${install}` : false;
}

/** A chronyd that tells this machine's wall clock, the real `date`. */
export async function chrony(t) {
    const port = await freeUdpPort();
    const here = folder(t);
    const conf = join(here, 'chrony.conf');
    const lines = ['cmdport 0', 'local stratum 1', 'allow 127.0.0.1', 'bindaddress 127.0.0.1'];
    writeFileSync(conf, [`port ${port}`, ...lines, `pidfile ${join(here, 'pid')}`, ''].join('\n'));
    const child = spawn('chronyd', ['-x', '-d', '-f', conf], { stdio: 'ignore' });
    t.after(() => ended(child));
    let tries = 0;
    while (!(await answers(port))) {
        assert.ok(tries++ < 600, 'chronyd does not answer');
        await pause(20);
    }
    return `127.0.0.1:${port}`;
}

/** The project's own server, with scripted faults. */
export async function faultyServer(t, ...args) {
    const program = process.env.NTP_TEST_SERVER_BIN ?? join(ROOT, 'target/debug/ntp-test-server');
    const child = spawn(program, ['--stdin', ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => ended(child));
    const [line] = await once(createInterface(child.stdout), 'line');
    return line.replace('listening on ', '');
}

async function ended(child) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill();
    await once(child, 'exit');
}

/** A clock that is stopped after the test. */
export function clockOf(t, options, Class = NTPClock) {
    const clock = new Class(options);
    t.after(() => clock.stopAutoSync());
    return clock;
}

/** What an honest relay answers, beside the request's own members. */
export function honest(receivedMs) {
    const sent = truth();
    return {
        event: 'clock_sync_response',
        server_receive_time: receivedMs,
        server_send_time: sent,
        server_time: sent,
        server_time_iso: new Date(sent).toISOString(),
        root_delay_ms: 0.2,
        root_dispersion_ms: 0.3,
        stratum: 2,
        leap: 0,
        server: 'time.cloudflare.com',
        instance: 'a',
        epoch: 1,
    };
}

/**
 * HTTP and WebSocket on one port. `answer(id, receivedMs, path)` gives the body: an object, text or
 * undefined for none; for HTTP also `{status, body}`.
 */
export async function relay(t, answer) {
    const http = createServer(async (request, response) => {
        const received = truth();
        const url = new URL(request.url, 'http://x');
        const answered = await answer(url.searchParams.get('request_id'), received, url.pathname);
        if (answered === undefined) return;
        const { status = 200, body = answered } = Object(answered);
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
    const sockets = new WebSocketServer({ server: http });
    sockets.on('connection', (socket) => {
        socket.on('error', () => {});
        socket.on('message', async (data) => {
            const received = truth();
            const answered = await answer(JSON.parse(data).request_id, received, 'ws');
            if (answered !== undefined)
                socket.send(typeof answered === 'string' ? answered : JSON.stringify(answered));
        });
    });
    await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
    const close = () => {
        for (const client of sockets.clients) client.terminate();
        http.closeAllConnections();
        return new Promise((resolve) => http.close(resolve));
    };
    t.after(close);
    const { port } = http.address();
    return { http: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}`, close, sockets };
}

/** Runs a program of one's own in Node to its end. */
export function runNode(source, env = {}, timeout = 60_000) {
    const args = ['--input-type=module', '--eval', source.replaceAll('CLOCK', MODULE)];
    const began = performance.now();
    const ran = spawnSync(process.execPath, args, {
        env: { ...process.env, ...env },
        encoding: 'utf8',
        timeout,
        cwd: dirname(MODULE),
    });
    return { code: ran.status, out: ran.stdout, err: ran.stderr, ms: performance.now() - began };
}
