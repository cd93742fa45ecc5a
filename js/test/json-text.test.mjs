// The dashboard's payloads: what is typed goes out as it was typed, and comes back as it came.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    JsonText,
    memberText,
    withMember,
} from '../../server/portacode_django/dashboard/static/js/json-text.js';

const WRITTEN = [
    '1759639032768445123',
    '18446744073709551616',
    '1.10',
    '-1E2',
    '"caf\\udce9 [{\\"payload\\":1,\\\\"',
    '"💡 , : }"',
    '{"a" : [1.0, {"payload": 7}],\n"b":{}}',
    '[]',
    '[[],[{}],"]"]',
    'null',
    '""',
];

for (const text of WRITTEN) {
    test(`a payload goes out as it is written: ${text}`, () => {
        const head = { event: 'command', trace: { payload: 1, entities: {} } };
        const sent = withMember(head, 'payload', new JsonText(` ${text}\n`));
        assert.deepEqual(JSON.parse(sent), { ...head, payload: JSON.parse(text) });
        assert.ok(sent.endsWith(`"payload":${text}}`), sent);
        assert.equal(memberText(sent, 'payload'), text);
    });

    test(`a payload is read as it was written: ${text}`, () => {
        const came = ` {"trace" : {"payload":[0]}, "payload":false, "payl\\u006fad" :\t${text} , "x":1}`;
        assert.equal(memberText(came, 'payload'), text);
        assert.equal(memberText(came, 'x'), '1');
        assert.equal(memberText(came, 'trace'), '{"payload":[0]}');
        assert.equal(memberText(came, 'none'), undefined);
    });
}

test('a value that is not written yet goes out as JSON has it', () => {
    assert.equal(withMember({}, 'payload', undefined), '{"payload":null}');
    assert.equal(withMember({ a: 1 }, 'payload', { b: [2] }), '{"a":1,"payload":{"b":[2]}}');
});

test('what is not JSON is refused before it is sent', () => {
    for (const text of ['', 'hello', '{', '1 2', "{'a':1}", 'NaN'])
        assert.throws(() => new JsonText(text), SyntaxError);
});

test('a payload of a whole frame is found in it', () => {
    const payload = `"${'\\"x'.repeat(20_000)}"`;
    assert.equal(memberText(`{"event":"response","payload":${payload}}`, 'payload'), payload);
    const deep = `${'['.repeat(100)}${']'.repeat(100)}`;
    assert.equal(memberText(`{"payload":${deep},"a":1}`, 'payload'), deep);
});
