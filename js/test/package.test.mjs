// What npm ships, as its users meet it.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as order from '../../portacode/static/js/utils/order.js';
import * as otel from '../../portacode/static/js/utils/otel.js';
import { collector } from './otel-support.mjs';
import { faultyServer, folder, MODULE, module, ROOT } from './support.mjs';

const ORDER = MODULE.replace(/ntp-clock\.js$/, 'order.js');
const OTEL = MODULE.replace(/ntp-clock\.js$/, 'otel.js');

const JS = fileURLToPath(new URL('..', import.meta.url));

function run(cwd, program, ...args) {
    const ran = spawnSync(program, args, { cwd, encoding: 'utf8' });
    assert.equal(ran.status, 0, `${program} ${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
    return ran.stdout;
}

const SAMPLE = `
import ntpClock, { ManualClock, NTPClock, type Clock, type FailureCode, type Reading, type Status } from '@portacode/ntp-clock';
import { install, type InstallOptions } from '@portacode/ntp-clock/otel';
import { Links, Order, Relations, type Link, type Relation } from '@portacode/ntp-clock/order';

const reading: Reading | null = ntpClock.read();
export const when: number | null = reading && reading.timeMs + reading.maxErrorMs;
const status: Status = ntpClock.getStatus();
export const texts: (string | null)[] = [ntpClock.nowISO(), status.lastSync, status.via, status.lastError];
export const own: Clock[] = [new NTPClock({ relay: 'wss://example.org/clock' }), new NTPClock(), new ManualClock()];
ntpClock.configure({ source: 'cloudflare' });
ntpClock.addEventListener('epoch', ({ detail }) => detail.epoch.toFixed());
ntpClock.addEventListener('fail', ({ detail }) => detail.code === 'no_reply');
ntpClock.onClockSyncFailure((error: string, code: FailureCode) => code === 'websocket_broken');
export const why: FailureCode | null = status.lastErrorCode;
ntpClock.setClockSyncSender((message) => message.request_id.length > 0);
export const synced: Promise<boolean> = ntpClock.waitSynced({ timeout: 1, signal: AbortSignal.timeout(1) });
const links = new Links();
export const fed: 'kept' | 'dropped' | 'restarted' = links.message('a', 'b', 5n, '9');
const link: Link | null = links.snapshot('a', 'b', 9n);
const relation: Relation = new Relations([{ counter: 'a', counterNs: '5' }], link ? [link] : [], [], { names: ['sent'] }).between(0, 0, { evidence: 'exchanges' });
export const certain: boolean = relation.order === Order.CERTAINLY_BEFORE;
const options: InstallOptions = { waitMs: 5000, clock: new ManualClock() };
install(options);
// @ts-expect-error a limit is a number
install({ maxItems: 'many' });
// @ts-expect-error no number holds a counter
links.message('a', 'b', 5, 9);
// @ts-expect-error a time may be null
export const never: number = ntpClock.now();
// @ts-expect-error one way or the other
ntpClock.configure({ relay: 'x', source: 'y' });
`;

test('the packed tarball installs into an empty project, imports, and its types are strict', (t) => {
    const here = folder(t);
    const [{ filename, files }] = JSON.parse(
        run(JS, 'npm', 'pack', '--json', '--pack-destination', here),
    );
    const names = files.map(({ path }) => path).sort();
    const clocks = ['ntp-clock.d.ts', 'ntp-clock.js', 'order.d.ts', 'order.js'];
    const modules = [...clocks, 'otel.d.ts', 'otel.js', 'register.d.ts', 'register.js'];
    const dist = ['LICENSE-APACHE', 'LICENSE-MIT', ...modules].map((name) => `dist/${name}`);
    assert.deepEqual(names, ['README.md', ...dist, 'package.json']);
    writeFileSync(join(here, 'package.json'), '{"type": "module", "private": true}');
    run(here, 'npm', 'install', '--offline', '--no-audit', '--no-fund', `./${filename}`);
    const source =
        "import clock from '@portacode/ntp-clock'; console.log(clock.now(), clock.getStatus().isSynced)";
    assert.equal(run(here, process.execPath, '--input-type=module', '-e', source), 'null false\n');
    const alone =
        "await import('@portacode/ntp-clock/otel/register'); console.log(typeof globalThis[Symbol.for('opentelemetry.js.api.1')])";
    assert.equal(
        run(here, process.execPath, '--input-type=module', '-e', alone),
        'undefined\n',
        'it needs no package of OpenTelemetry',
    );
    writeFileSync(join(here, 'sample.ts'), SAMPLE);
    const tsc = join(JS, 'node_modules/typescript/bin/tsc');
    const options = ['--strict', '--noEmit', '--target', 'es2022', '--lib', 'es2022,dom'];
    for (const [kind, resolution] of [
        ['nodenext', 'nodenext'],
        ['esnext', 'bundler'],
    ]) {
        run(
            here,
            process.execPath,
            tsc,
            ...options,
            '--module',
            kind,
            '--moduleResolution',
            resolution,
            'sample.ts',
        );
    }
});

test('the types name what each module exports, no more and no less', () => {
    for (const [file, exported] of [
        [MODULE, module],
        [ORDER, { ...order, default: null }],
        [OTEL, { ...otel, default: null }],
    ]) {
        const types = readFileSync(file.replace(/js$/, 'd.ts'), 'utf8');
        const named = types.matchAll(/^export (?:class|const|function) (\w+)/gm);
        const names = [...named].map(([, name]) => name);
        assert.deepEqual([...names, 'default'].sort(), Object.keys(exported).sort());
    }
});

test('each module stands alone: it imports nothing by name', () => {
    for (const file of [MODULE, ORDER]) {
        const text = readFileSync(file, 'utf8');
        assert.doesNotMatch(text, /\bimport\s*["'{*]|\bfrom\s*["']/);
        assert.doesNotMatch(text, /import\(\s*["'`]/);
    }
});

test("OpenTelemetry's part imports the clock's module, and that of order where it is needed", () => {
    const imports = readFileSync(OTEL, 'utf8').matchAll(/\b(?:from|import)\s*\(?["']([^"']+)["']/g);
    assert.deepEqual([...imports].map(([, name]) => name).sort(), ['./ntp-clock.js', './order.js']);
});

/** The blocks of a section of docs/OPENTELEMETRY.md, by their language. */
function blocks(section, language) {
    const text = readFileSync(join(ROOT, 'docs/OPENTELEMETRY.md'), 'utf8');
    const [, part] = text.split(`\n## ${section}\n`);
    const found = part.split(/\n## /)[0].matchAll(/```(\w+)\n(.*?)```/gs);
    return [...found].filter(([, name]) => name === language).map(([, , body]) => body.trim());
}

test("what docs/OPENTELEMETRY.md shows for Node puts a program's spans, logs and metrics into true time", async (t) => {
    const here = folder(t);
    const pack = run(JS, 'npm', 'pack', '--json', '--pack-destination', here);
    writeFileSync(join(here, 'package.json'), '{"type": "module", "private": true}');
    const [{ filename }] = JSON.parse(pack);
    run(here, 'npm', 'install', '--offline', '--no-audit', '--no-fund', `./${filename}`);
    symlinkSync(join(JS, 'node_modules/@opentelemetry'), join(here, 'node_modules/@opentelemetry'));
    const [commands] = blocks('Node', 'sh');
    const command = commands.split('\n').find((line) => line.startsWith('node '));
    const [code] = blocks('Node', 'js');
    for (const block of [commands, code]) assert.ok(block.split('\n').length <= 5, block);
    const program = readFileSync(join(JS, 'programs/otel-program.mjs'), 'utf8');
    writeFileSync(join(here, 'app.js'), program);
    writeFileSync(join(here, 'before.js'), `${code}\nawait import('./app.js');`);
    // After the providers are there, as a last line.
    writeFileSync(
        join(here, 'after.js'),
        program.replace('const lines = []', `${later(code)};\nconst lines = []`),
    );
    const server = await faultyServer(t, '--delay', '5ms');
    for (const line of [command, 'node before.js', 'node after.js']) {
        const got = await collector(t);
        const env = { ...process.env, PORTACODE_NTP_SERVER: server, COLLECTOR: got.url };
        const [, ...args] = line.split(' ');
        const child = spawn(process.execPath, args, { cwd: here, env, stdio: 'ignore' });
        const [status] = await once(child, 'exit');
        assert.equal(status, 0, line);
        for (const items of [got.spans, got.logs, got.metrics]) {
            assert.ok(items.length > 0, line);
            for (const item of items) {
                const { 'ntp_clock.synchronised': said } = got.attributesOf(item);
                assert.equal(said, true, line);
            }
        }
    }
});

/** The same lines where imports cannot stand. */
const later = (code) => code.replace(/import (.+) from ('.+');/, 'const $1 = await import($2);');
