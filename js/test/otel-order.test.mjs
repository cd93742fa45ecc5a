// Two programs with wrong clocks, whose spans say how they lie to one another.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector, hasFaketime, start } from './otel-support.mjs';

const SPAN_KIND_SERVER = 2;
const plain = ({ intValue, stringValue }) => stringValue ?? Number(intValue);

test(
    "a server's spans say that they began after their parent sent, and by how much, though both clocks are hours apart and never synchronised",
    { skip: hasFaketime },
    async (t) => {
        const got = await collector(t);
        const env = {
            COLLECTOR: got.url,
            PORTACODE_NTP_SERVER: '127.0.0.1:1',
            OTEL_OPTIONS: '{"waitMs": 0}',
        };
        const service = { program: 'otel-service.mjs', installed: true };
        const server = start(t, { ...service, fake: '-2s', env });
        const { port } = await server.line((line) => line.port);
        const SERVER = `http://127.0.0.1:${port}`;
        const client = start(t, { ...service, fake: '+3h', env: { ...env, SERVER } });
        const [asked, served] = await Promise.all([client.ended, server.ended]);
        assert.deepEqual([asked.code, served.code], [0, 0], asked.err + served.err);

        const sent = asked.reports.filter((line) => line.sent);
        assert.equal(sent.length, 12);
        for (const { answer } of sent) {
            assert.match(answer, /^1\.[0-9a-f]{16}(~\d+)?\.\d+\.\d+\.\d+$/);
        }
        const ordered = { fetch: 0, http: 0 };
        for (const span of got.spans.filter(({ kind }) => kind === SPAN_KIND_SERVER)) {
            const attributes = Object.fromEntries(
                span.attributes.map(({ key, value }) => [key, plain(value)]),
            );
            const path = attributes['http.target'] ?? attributes['url.path'];
            if (path === '/end') continue;
            const order = attributes['ntp_clock.parent_order'];
            assert.ok(['after', 'unknown'].includes(order), `${path}: ${order}`);
            if (order !== 'after') continue;
            ordered[path.match(/[a-z]+/)[0]] += 1;
            const gap = attributes['ntp_clock.parent_gap_ns'];
            const error = attributes['ntp_clock.parent_gap_max_error_ns'];
            const { from } = sent.find((line) => line.sent === path);
            const { at } = served.reports.find(({ handled }) => handled === path);
            assert.ok(gap + error >= 0, `${path}: ${gap} ns, ${error} ns stated`);
            assert.ok(
                gap - error <= Number(BigInt(at) - BigInt(from)),
                `${path}: ${gap}, ${error} ns`,
            );
            assert.ok(error < 1e9, `${path}: ${error} ns stated`);
        }
        for (const [kind, count] of Object.entries(ordered)) {
            assert.ok(count >= 3, `${count} of 6 by ${kind} are ordered`);
        }
    },
);
