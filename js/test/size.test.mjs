// How large the modules are: whatever grows is to be seen, and meant.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ROOT } from './support.mjs';

/** Kilobytes (1,024 bytes) of each module, and of it gzipped. */
const LIMITS = {
    'ntp-clock.js': [60, 36],
    'order.js': [80, 62],
    'otel.js': [44, 25],
};

for (const [name, limits] of Object.entries(LIMITS)) {
    test(`${name} is at most ${limits[0]} KB, ${limits[1]} KB gzipped`, () => {
        const code = readFileSync(join(ROOT, 'portacode/static/js/utils', name));
        const sizes = [code.length, gzipSync(code, { level: 9 }).length];
        for (const [place, bytes] of sizes.entries()) {
            const size = `${(bytes / 1024).toFixed(1)} KB`;
            assert.ok(
                bytes <= limits[place] * 1024,
                `${size}: cargo xtask js --sizes says of what`,
            );
        }
    });
}
