// What the module unpacks itself with.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { inflate } from '../src/inflate.js';
import { MODULE } from './support.mjs';

test('what zlib deflates is inflated to the same bytes', () => {
    const text = readFileSync(MODULE);
    const runs = Buffer.concat([
        Buffer.alloc(40_000, 7),
        text,
        text.subarray(9),
        Buffer.alloc(300),
    ]);
    for (const bytes of [text, runs, text.subarray(0, 3000)]) {
        const deflated = deflateRawSync(bytes, { level: 9 });
        assert.ok(bytes.equals(inflate(deflated, bytes.length)));
    }
});

test('what is damaged is refused', () => {
    assert.throws(() => inflate(Uint8Array.of(7), 1), /damaged/);
});
