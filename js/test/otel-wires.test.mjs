// Answers on the wire of Node's own HTTP server.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { test } from 'node:test';
import { HEADER, parseAnswer } from '../otel/member.js';
import { Relative } from '../otel/relative.js';
import { wireNode } from '../otel/wires.js';

const COUNTER = 'bbbbbbbbbbbbbbbb';
const SENT_NS = 5n;
const cookies = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'];

const FORMS = {
    'a status': (response) => response.writeHead(200),
    'a status and a reason': (response) => response.writeHead(200, 'Fine'),
    'no call at all': () => {},
    'an object': (response) => response.writeHead(200, { 'X-A': '1', 'Set-Cookie': ['a', 'b'] }),
    'a reason and an object': (response) => response.writeHead(200, 'Fine', { 'X-A': '1' }),
    'an object that is frozen': (response) => response.writeHead(200, Object.freeze({ a: '1' })),
    'an object behind nothing': (response) => response.writeHead(200, undefined, { 'X-A': '1' }),
    'null for headers': (response) => response.writeHead(200, null),
    'a list of names and values in turn': (response) => response.writeHead(200, cookies),
    'a reason and such a list': (response) => response.writeHead(200, 'Fine', cookies),
    'an empty list': (response) => response.writeHead(200, []),
    'a list of pairs': (response) =>
        response.writeHead(200, [
            ['X-A', '1'],
            ['Set-Cookie', 'a=1'],
            ['Set-Cookie', 'b=2'],
        ]),
    'headers that were set before': (response) => {
        response.setHeader('X-A', '1');
        response.writeHead(200);
    },
    'an object, and headers that were set before': (response) => {
        response.setHeader('X-A', '1');
        response.writeHead(200, { 'X-B': '2' });
    },
    'a list, and headers that were set before': (response) => {
        response.setHeader('X-A', '1');
        response.writeHead(200, ['X-B', '2']);
    },
};

/** Status, reason and header lines of the answer to a request with this tracestate. */
async function answered(url, headers) {
    const asked = request(url, { headers, agent: false });
    asked.end();
    const [response] = await once(asked, 'response');
    response.resume();
    await once(response, 'end');
    const { statusCode, statusMessage, rawHeaders } = response;
    const lines = [];
    for (let place = 0; place < rawHeaders.length; place += 2) {
        const [name, value] = rawHeaders.slice(place, place + 2);
        if (name !== 'Date') lines.push(`${name}: ${value}`);
    }
    const isOurs = (line) => line.toLowerCase().startsWith(`${HEADER}: `);
    const sent = [statusCode, statusMessage, ...lines.filter((line) => !isOurs(line)).sort()];
    return { sent, ours: lines.filter(isOurs) };
}

for (const [form, head] of Object.entries(FORMS)) {
    test(`the answer to a member changes nothing that the program sends by writeHead: ${form}`, async (t) => {
        let counted = 0;
        const stamp = () => ({ counter: COUNTER, counterNs: String((counted += 1000)) });
        const relative = new Relative({ stamp, counterAt: () => COUNTER, load: async () => {} });
        const heard = [];
        wireNode(
            {
                subscribe(...args) {
                    heard.push(args);
                    subscribe(...args);
                },
            },
            relative,
            stamp,
        );
        const thrown = [];
        const server = createServer((_, response) => {
            try {
                head(response);
            } catch (error) {
                thrown.push(error);
            }
            response.end('done');
        });
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        t.after(() => {
            server.close();
            for (const args of heard) unsubscribe(...args);
        });
        const url = `http://127.0.0.1:${server.address().port}`;
        const without = await answered(url, {});
        assert.deepEqual(without.ours, [], 'who sends no member gets no answer');
        const { sent, ours } = await answered(url, {
            tracestate: `ntpclock=1.aaaaaaaaaaaaaaaa.${SENT_NS}`,
        });
        assert.deepEqual(thrown, []);
        assert.deepEqual(sent, without.sent);
        assert.equal(ours.length, 1);
        assert.equal(parseAnswer(ours[0].slice(HEADER.length + 2)).t1, SENT_NS);
    });
}
