// What is thrown at the clock: it tells why, nobody waits for ever, and the next way works.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf, eventually, gathered, honest, relay, runNode, syncs } from './support.mjs';

const reply = (id, received) => ({ ...honest(received), request_id: id });

/** Puts another WebSocket in the place of the one that there is, for this test. */
function withWebSocket(t, Stand) {
    const real = globalThis.WebSocket;
    globalThis.WebSocket = Stand;
    t.after(() => (globalThis.WebSocket = real));
    return real;
}

const INSECURE = 'An insecure WebSocket connection may not be initiated from a page over HTTPS.';
const THROWS = [
    [
        'a WebSocket that may not be made',
        class {
            constructor() {
                throw new DOMException(INSECURE, 'SecurityError');
            }
        },
        /An insecure WebSocket connection/,
        'websocket_forbidden',
    ],
    ['a Node without WebSocket', undefined, /there is no WebSocket here/, 'websocket_missing'],
    [
        'a WebSocket that throws on sending',
        class {
            readyState = 1;
            constructor() {
                setTimeout(() => this.onopen(), 1);
            }
            send() {
                throw new Error('no more buffers');
            }
            close() {}
        },
        /no more buffers/,
        'websocket_broken',
    ],
];
for (const [what, Stand, reason, code] of THROWS) {
    test(`${what} fails the attempt with its reason, and the next way works`, async (t) => {
        withWebSocket(t, Stand);
        const { http, ws } = await relay(t, reply);
        const clock = clockOf(t, { relay: ws });
        const seen = gathered(clock, 'fail');
        assert.equal(await clock.sync(), false);
        const { lastError, lastErrorCode, state } = clock.getStatus();
        assert.match(lastError, reason);
        assert.deepEqual([lastErrorCode, state], [code, 'unsynchronised']);
        assert.ok(await eventually(() => seen.length > 0));
        assert.deepEqual(seen[0], { attempt: 1, error: lastError, code });
        clock.configure({ relay: http });
        await syncs(clock);
        assert.ok(await eventually(() => clock.getStatus().lastErrorCode === null));
    });
}

test("a relay's URL may name a part of a document", async (t) => {
    const { http, ws } = await relay(t, reply);
    for (const url of [`${ws}/clock#part`, `${http}/clock#part`]) {
        await syncs(clockOf(t, { relay: url }));
    }
});

test('a clock of its own errors says so, ends what was waited for, and goes on', async (t) => {
    const { http } = await relay(t, reply);
    const clock = clockOf(t, { relay: http });
    const real = crypto.getRandomValues;
    crypto.getRandomValues = () => {
        throw new Error('no entropy');
    };
    t.after(() => (crypto.getRandomValues = real));
    assert.equal(await clock.sync(), false);
    assert.equal(clock.getStatus().lastErrorCode, 'internal');
    assert.match(clock.getStatus().lastError, /no entropy/);
    crypto.getRandomValues = real;
    await syncs(clock);
});

test('where WebAssembly is forbidden sync() says no at once, and another try is another try', async () => {
    const ran = runNode(
        `const real = WebAssembly.Module;
         WebAssembly.Module = class { constructor() { throw new WebAssembly.CompileError(
             'Wasm code generation disallowed by embedder'); } };
         const { NTPClock } = await import('CLOCK');
         const clock = new NTPClock({ source: '127.0.0.1:1' });
         const answers = [await clock.sync(), await clock.sync()];
         const { state, lastErrorCode } = clock.getStatus();
         WebAssembly.Module = real;
         clock.configure({ source: '127.0.0.1:2' });
         for (let i = 0; i < 500 && !clock.getStatus().lastErrorCode; i++)
             await new Promise((resolve) => setTimeout(resolve, 10));
         console.log(JSON.stringify([answers, state, lastErrorCode, clock.getStatus().lastErrorCode]))`,
    );
    assert.deepEqual([ran.code, ran.err], [0, '']);
    assert.deepEqual(JSON.parse(ran.out), [[false, false], 'failed', 'wasm_failed', 'refused']);
});
