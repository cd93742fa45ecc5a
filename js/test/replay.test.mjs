// The same exchanges, the same answers: wasm, Rust and Python, to the last bit.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ROOT } from './support.mjs';

const MINUTE = 60_000_000_000n;
const LINES = 4000;

/** Dice that fall alike everywhere (xorshift). */
function dice(seed) {
    let state = seed;
    return (below) => {
        state ^= (state << 13) & 0xffffffff;
        state ^= state >>> 17;
        state ^= (state << 5) & 0xffffffff;
        return (state >>> 0) % below;
    };
}

/**
 * The log of a life on a bad path: a counter that drifts, wanders, sleeps and steps; delays with a
 * heavy tail, longer one way than the other; losses; replies that no clock would believe.
 */
function log(seed) {
    const roll = dice(seed);
    const lines = [];
    let local = 5_000_000_000n;
    let offset = 1_800_000_000_000_000_000n;
    let ppb = BigInt(roll(80_000) - 40_000);
    const line = (type, fields) => lines.push({ type, ...fields });
    const pass = (nanos) => {
        local += nanos;
        offset += (nanos * ppb) / 1_000_000_000n;
    };
    const path = () =>
        BigInt(1_000_000 + roll(3_000_000) + (roll(10) === 0 ? roll(200_000_000) : 0));
    while (lines.length < LINES) {
        ppb += BigInt(roll(41) - 20);
        for (let burst = 0; burst < 4; burst++) {
            const t1 = local;
            pass(path());
            const t2 = local + offset;
            pass(BigInt(roll(50_000)));
            const t3 = local + offset;
            pass(path());
            if (roll(12) === 0) {
                line('lost', { t1_local_ns: t1 });
            } else {
                line('exchange', {
                    t1_local_ns: t1,
                    t2_ns: t2,
                    t3_ns: roll(60) === 0 ? t2 - 5n : t3,
                    t4_local_ns: local,
                    root_delay_ns: BigInt(roll(2_000_000)),
                    root_dispersion_ns: BigInt(roll(500_000)),
                    precision_log2_s: -20,
                    stratum: roll(80) === 0 ? 16 : 1 + roll(4),
                    leap: roll(200) === 0 ? 1 : 0,
                });
            }
            line('read', { local_ns: local });
            pass(50_000_000n);
        }
        line('round_end', { local_ns: local });
        for (let reads = roll(4); reads > 0; reads--) {
            pass(BigInt(roll(1_000_000)) * 20_000n);
            line('read', { local_ns: local });
        }
        // Moments long ago and far ahead, as the bound of any age is the same everywhere, too.
        line('read', { local_ns: local - BigInt(1 + roll(86_400)) * 1_000_000_000n });
        line('read', { local_ns: local + BigInt(1 + roll(172_800)) * 1_000_000_000n });
        pass(MINUTE);
        if (roll(40) === 0) offset += BigInt(roll(2_000_000_000) - 1_000_000_000);
        if (roll(60) === 0) line('suspend', { local_ns: local });
        if (roll(80) === 0) line('counter_changed', { local_ns: local });
    }
    return lines;
}

function written(lines) {
    // Nanoseconds of today are more than a double holds: they are put in as text.
    return lines
        .map((fields) => {
            const members = Object.entries(fields).map(
                ([name, value]) =>
                    `"${name}":${typeof value === 'bigint' ? value : JSON.stringify(value)}`,
            );
            return `{${members.join(',')}}\n`;
        })
        .join('');
}

/** The answers of wasm, as `ntp-clock replay` writes them; and the times as JavaScript has them. */
function replayed(lines, wasmFile) {
    const wasm = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(wasmFile))).exports;
    const answers = [];
    const numbers = [];
    for (const l of lines) {
        if (l.type === 'exchange') {
            const times = [l.t1_local_ns, l.t2_ns, l.t3_ns, l.t4_local_ns, l.t4_local_ns];
            const errors = [l.root_delay_ns, l.root_dispersion_ns];
            wasm.replay_exchange(...times, ...errors, l.precision_log2_s, l.leap, l.stratum);
        } else if (l.type === 'lost') wasm.replay_lost(l.t1_local_ns);
        else if (l.type === 'round_end') wasm.replay_round_end(l.local_ns);
        else if (l.type === 'suspend') wasm.replay_suspend(l.local_ns);
        else if (l.type === 'counter_changed') wasm.replay_counter_changed(l.local_ns);
        else {
            const found = wasm.replay_read(l.local_ns);
            const [time, max, est] = [0, 1, 2].map((which) =>
                found ? wasm.replay_answer(which) : null,
            );
            answers.push(
                `{"local_ns":${l.local_ns},"time_ns":${time},"max_error_ns":${max},"est_error_ns":${est}}`,
            );
            if (found) numbers.push([time, wasm.replay_time_ms()]);
        }
    }
    return { answers, numbers };
}

const wasmFile = process.env.NTP_CLOCK_REPLAY_WASM;
const cli = process.env.NTP_CLOCK_BIN;
const python = process.env.NTP_CLOCK_PYTHON;

for (const seed of [1, 2, 3]) {
    const skip = (!wasmFile || !cli) && 'needs the replaying wasm: run cargo xtask test js';
    test(
        `wasm and Rust give the same answers to thousands of lines (seed ${seed})`,
        { skip },
        () => {
            const lines = log(seed);
            const rust = spawnSync(cli, ['replay', '-'], {
                input: written(lines),
                encoding: 'utf8',
                maxBuffer: 1 << 26,
            });
            assert.equal(rust.status, 0, rust.stderr);
            const { answers, numbers } = replayed(lines, wasmFile);
            assert.ok(answers.length > 1000 && numbers.length > 1000);
            assert.deepEqual(answers, rust.stdout.trimEnd().split('\n'));
            for (const [nanos, ms] of numbers) {
                assert.equal(ms, Number(nanos / 1_000_000n) + Number(nanos % 1_000_000n) / 1e6);
            }
        },
    );
}

test(
    'Python gives the answers that wasm gives',
    { skip: !(python && wasmFile) && 'needs NTP_CLOCK_PYTHON, with portacode installed' },
    () => {
        const lines = log(4);
        const source = `import sys
from portacode.replay import replay
null = lambda value: "null" if value is None else value
for a in replay(sys.stdin.buffer):
    print('{"local_ns":%s,"time_ns":%s,"max_error_ns":%s,"est_error_ns":%s}' % tuple(map(null, a)))`;
        const ran = spawnSync(python, ['-c', source], {
            input: written(lines),
            encoding: 'utf8',
            maxBuffer: 1 << 26,
            cwd: ROOT,
        });
        assert.equal(ran.status, 0, ran.stderr);
        assert.deepEqual(replayed(lines, wasmFile).answers, ran.stdout.trimEnd().split('\n'));
    },
);
