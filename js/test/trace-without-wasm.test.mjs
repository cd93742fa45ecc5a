// Traces where WebAssembly is forbidden, as by a Content-Security-Policy: they know less, and go on.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { ROOT, runNode } from './support.mjs';

const UTILS = pathToFileURL(join(ROOT, 'portacode/static/js/utils')).href;
const CSP =
    "violates the following Content Security Policy directive because neither 'wasm-eval' nor " +
    "'unsafe-eval' is an allowed source of script";
const cases = JSON.parse(
    readFileSync(new URL('../../tests/vectors/trace-order.json', import.meta.url)),
).cases;

/** What a program of one's own says where this is thrown for each module. */
function withoutWasm(thrown, program) {
    const ran = runNode(
        `let tries = 0;
         const warnings = [];
         console.warn = (text) => warnings.push(text);
         WebAssembly.Module = class { constructor() { tries++; throw ${thrown}; } };
         const { Trace } = await import('${UTILS}/trace.js');
         const order = await import('${UTILS}/order.js');
         const answers = await (async () => { ${program} })();
         console.log(JSON.stringify({ answers, tries, warnings }));`,
    );
    assert.deepEqual([ran.code, ran.err], [0, '']);
    return JSON.parse(ran.out);
}

const forbidden = `new WebAssembly.CompileError(${JSON.stringify(CSP)})`;
const tooLarge = `new RangeError('WebAssembly.Compile is disallowed on the main thread')`;

/** Four stamps with counters, of which the last is certainly before the one that caused it. */
const counted = {
    client_send: 1000,
    server_receive: 1010,
    server_send: 1020,
    device_receive: 900,
    max_error_ms: { client_send: 1, server_receive: 1, server_send: 1, device_receive: 50 },
    epoch: { client_send: 1, server_receive: 7, server_send: 7, device_receive: 1 },
    entities: { client_send: 'x', server_receive: 's', server_send: 's', device_receive: 'x' },
};

test('a trace without counters needs no WebAssembly', () => {
    const traces = JSON.stringify(cases.filter(({ error }) => !error).map(({ trace }) => trace));
    const { answers, tries, warnings } = withoutWasm(
        forbidden,
        `return ${traces}.map((message) => {
            const trace = Trace.fromMessage(message);
            trace.hops();
            trace.problems();
            trace.order('client_send', 'server_receive');
            return trace.contradictions();
        });`,
    );
    assert.ok(answers.length > 0 && answers.every((found) => found.length === 0));
    assert.deepEqual([tries, warnings], [0, []]);
});

for (const [why, thrown] of [
    ['forbidden', forbidden],
    ['too large for the main thread', tooLarge],
]) {
    test(`where WebAssembly is ${why} a trace with counters is ordered by its readings`, () => {
        const { answers, tries, warnings } = withoutWasm(
            thrown,
            `const result = [];
             for (let i = 0; i < 3; i++) {
                 const message = ${JSON.stringify(counted)};
                 message.counter = {};
                 message.counter_ns = {};
                 for (const key of Object.keys(message.entities)) {
                     const whose = key.slice(0, 1).charCodeAt(0).toString(16);
                     message.counter[key] = whose.repeat(8) + '~500';
                     message.counter_ns[key] = String(message[key] * 1e6);
                 }
                 const trace = Trace.fromMessage(message);
                 result.push({
                     order: trace.order('client_send', 'server_receive'),
                     other: trace.order('client_send', 'device_receive'),
                     hops: trace.hops().map(({ ms, lowerMs, upperMs }) => [ms, lowerMs, upperMs]),
                     problems: trace.problems(),
                     contradictions: trace.contradictions(),
                 });
             }
             return result;`,
        );
        for (const { order, other, hops, problems, contradictions } of answers) {
            assert.equal(order, 'certainly_before');
            // 100 ms apart and 51 ms unsure.
            assert.equal(other, 'certainly_after');
            assert.deepEqual(hops[0], [10, 8, 12]);
            assert.deepEqual(
                problems.map(({ earlier, later }) => [earlier, later]),
                ['client_send', 'server_receive', 'server_send'].map((key) => [
                    key,
                    'device_receive',
                ]),
            );
            assert.equal(contradictions.length, 3);
            assert.deepEqual(contradictions[2], [
                'message server_send -> device_receive',
                'synchronised time',
            ]);
        }
        assert.equal(tries, 1, 'it is tried once');
        assert.equal(warnings.length, 1, 'and said once');
        assert.match(warnings[0], /times alone: .*WebAssembly.*'wasm-unsafe-eval'/);
    });
}

test('readings of different counters are not on one line for the number of an epoch', () => {
    const message = {
        client_send: 1000,
        client_receive: 1001,
        max_error_ms: { client_send: 5, client_receive: 5 },
        epoch: { client_send: 1, client_receive: 1 },
        entities: { client_send: 'x', client_receive: 'x' },
        counter: { client_send: '0123456789abcdef~500', client_receive: 'fedcba9876543210~500' },
        counter_ns: { client_send: '5', client_receive: '6' },
    };
    const orders = (same) =>
        withoutWasm(
            forbidden,
            `const message = ${JSON.stringify(message)};
             if (${same}) message.counter.client_receive = message.counter.client_send;
             return Trace.fromMessage(message).order('client_send', 'client_receive');`,
        ).answers;
    assert.deepEqual([false, true].map(orders), ['cannot_tell', 'certainly_before']);
});

test('links and relations say by a type that WebAssembly is missing, and what to do', () => {
    const { answers, tries } = withoutWasm(
        forbidden,
        `const thrown = [];
         for (const make of [() => new order.Links(), () => new order.Relations([])]) {
             try { make(); } catch (error) {
                 const ours = error instanceof order.WasmUnavailable;
                 thrown.push([ours, error.code, error.message]);
             }
         }
         return thrown;`,
    );
    assert.equal(tries, 1);
    assert.equal(answers.length, 2);
    for (const [ours, code, message] of answers) {
        assert.deepEqual([ours, code], [true, 'wasm_forbidden']);
        assert.match(message, /'wasm-unsafe-eval' to script-src/);
    }
});
