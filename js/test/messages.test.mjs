// Keeps docs/messages up to date: what the JavaScript of the clock and of the dashboard can show to
// anybody. Every text of at least two words counts. xtask/src/messages.rs and
// tests/python/test_messages.py do the same for the other languages.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import test from 'node:test';
import typescript from 'typescript';

const ROOT = join(import.meta.dirname, '../..');

const COMPONENTS = {
    javascript: ['js/src', 'js/order', 'js/otel', 'js/page', 'portacode/static/js/utils'],
    dashboard: ['server/portacode_django/dashboard/static'],
};

for (const [component, places] of Object.entries(COMPONENTS))
    test(`the list of messages of ${component} is that of the code`, () => {
        const lines = [
            `Messages of ${places.join(' and ')}. A test writes this file from the code.`,
        ];
        const files = places.flatMap((place) => filesOf(place)).sort();
        assert.ok(files.length > 5, `${files}`);
        for (const file of files) {
            const messages = messagesOf(readFileSync(file, 'utf8')).filter(hasWords);
            if (messages.length === 0) continue;
            lines.push('', relative(ROOT, file));
            for (const message of messages)
                for (const line of message.split('\n')) lines.push(`    ${line}`.trimEnd());
        }
        const list = join(ROOT, `docs/messages/${component}.txt`);
        const text = `${lines.join('\n')}\n`;
        const before = read(list);
        writeFileSync(list, text);
        assert.ok(before === text, `${list} is written again: read what changed, and commit it`);
    });

/** The sources below a folder; `cargo xtask js` makes some modules out of others. */
function filesOf(folder) {
    return readdirSync(join(ROOT, folder), { recursive: true })
        .map((name) => join(ROOT, folder, name))
        .filter((path) => path.endsWith('.js') && !MADE.test(path));
}

const MADE = /static\/js\/utils\/(ntp-clock|order|otel)\.js$/;

function read(path) {
    try {
        return readFileSync(path, 'utf8');
    } catch {
        return '';
    }
}

/** Texts in the order of the code; what a template puts in stays as it is written. */
function messagesOf(code) {
    const source = typescript.createSourceFile('x.js', code, typescript.ScriptTarget.Latest, true);
    const found = [];
    const visit = (node) => {
        if (
            typescript.isTemplateExpression(node) ||
            typescript.isNoSubstitutionTemplateLiteral(node)
        )
            found.push(node.getText().slice(1, -1));
        else if (typescript.isStringLiteral(node)) found.push(node.text);
        node.forEachChild(visit);
    };
    visit(source);
    return found;
}

function hasWords(text) {
    return text.split(/\s+/).filter((word) => /\p{L}.*\p{L}/u.test(word)).length > 1;
}
