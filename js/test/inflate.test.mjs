// What the module unpacks itself with.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import { decode, encode } from '../src/base85.js';
import { inflate } from '../src/inflate.js';
import { MODULE } from './support.mjs';

/** Bytes that nothing compresses, the same each time (xorshift). */
function dice(size) {
    let state = 1;
    return Buffer.from(
        Array.from({ length: size }, () => {
            state ^= state << 13;
            state ^= state >>> 17;
            state ^= state << 5;
            return state & 255;
        }),
    );
}

test('what zlib deflates is inflated to the same bytes', () => {
    const text = readFileSync(MODULE);
    const runs = Buffer.concat([
        Buffer.alloc(40_000, 7),
        text,
        text.subarray(9),
        Buffer.alloc(300),
    ]);
    const noise = Buffer.concat([text.subarray(0, 999), dice(2000), text.subarray(0, 999)]);
    for (const bytes of [text, runs, text.subarray(0, 3000), noise]) {
        for (const [level, strategy] of [
            [9, constants.Z_DEFAULT_STRATEGY],
            [9, constants.Z_FIXED],
            [0, constants.Z_DEFAULT_STRATEGY],
        ]) {
            const deflated = deflateRawSync(bytes, { level, strategy });
            assert.ok(bytes.equals(inflate(deflated, bytes.length)));
        }
    }
});

test('what is damaged is refused', () => {
    assert.throws(() => inflate(Uint8Array.of(7), 1), /damaged/);
});

test('bytes come back from their text, which no string and no page misreads', () => {
    const every = Buffer.from([...Array(256).keys(), 255, 255, 255, 255, 0, 0, 0, 0, 9]);
    const text = encode(every);
    assert.deepEqual(Buffer.from(decode(text)).subarray(0, every.length), every);
    assert.doesNotMatch(text, /[<\\"\s]/);
});
