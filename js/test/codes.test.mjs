// Codes of failures: those that the sources give, those that the types name, those that the page knows.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './support.mjs';

const read = (...path) => readFileSync(join(ROOT, ...path), 'utf8');
const files = ['js/src', 'js/src/transports'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
        .filter((name) => name.endsWith('.js'))
        .map((name) => read(folder, name)),
);
const types = read('js/src/ntp-clock.d.ts');
const [, union] = /export type FailureCode =(.*?);\n/s.exec(types);
const named = new Set([...union.matchAll(/'([a-z_]+)'/g)].map(([, code]) => code));
const core = read('crates/ntp-clock-core/src/engine/event.rs');
const [, list] = /const CODES: [^=]*= \[(.*?)\];/s.exec(core);
const attempts = [...list.matchAll(/"([a-z_]+)"/g)].map(([, code]) => code);

test('the types name every code that a failure can have', () => {
    const given = files.flatMap((text) =>
        [
            ...text.matchAll(/\b(?:failure|Trouble)\(\s*'([a-z_]+)'/g),
            ...text.matchAll(/failureOf\([^,()]+, '([a-z_]+)'/g),
            ...text.matchAll(/\bE[A-Z]+: '([a-z_]+)'/g),
        ].map(([, code]) => code),
    );
    assert.ok(given.length > 20, `${given}`);
    const missing = [...new Set(given)].filter((code) => !named.has(code));
    assert.deepEqual(missing, []);
    assert.ok(attempts.length > 15);
    const unnamed = attempts.filter((code) => !named.has(code) && !code.startsWith('rejected_'));
    assert.deepEqual(unnamed, []);
});

test('the page has advice by code, for codes that there are', () => {
    const words = read('js/page/words.js');
    const [, table] = /const REMEDIES = \{(.*?)\n\};/s.exec(words);
    const codes = [...table.matchAll(/^ {4}([a-z_]+):/gm)].map(([, code]) => code);
    assert.ok(codes.length > 15);
    const unknown = codes.filter((code) => !named.has(code) && !attempts.includes(code));
    assert.deepEqual(unknown, []);
});
