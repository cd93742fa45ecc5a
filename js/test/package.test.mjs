// What npm ships, as its users meet it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as order from '../../portacode/static/js/utils/order.js';
import { folder, MODULE, module } from './support.mjs';

const ORDER = MODULE.replace(/ntp-clock\.js$/, 'order.js');

const JS = fileURLToPath(new URL('..', import.meta.url));

function run(cwd, program, ...args) {
    const ran = spawnSync(program, args, { cwd, encoding: 'utf8' });
    assert.equal(ran.status, 0, `${program} ${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
    return ran.stdout;
}

const SAMPLE = `
import ntpClock, { ManualClock, NTPClock, type Clock, type FailureCode, type Reading, type Status } from '@portacode/ntp-clock';
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
    const modules = ['ntp-clock.d.ts', 'ntp-clock.js', 'order.d.ts', 'order.js'];
    const dist = ['LICENSE-APACHE', 'LICENSE-MIT', ...modules].map((name) => `dist/${name}`);
    assert.deepEqual(names, [...dist, 'package.json']);
    writeFileSync(join(here, 'package.json'), '{"type": "module", "private": true}');
    run(here, 'npm', 'install', '--offline', '--no-audit', '--no-fund', `./${filename}`);
    const source =
        "import clock from '@portacode/ntp-clock'; console.log(clock.now(), clock.getStatus().isSynced)";
    assert.equal(run(here, process.execPath, '--input-type=module', '-e', source), 'null false\n');
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
