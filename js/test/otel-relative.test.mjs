// The propagator around the program's own, and fetch in a page.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    defaultTextMapGetter,
    defaultTextMapSetter,
    ROOT_CONTEXT,
    trace,
} from '@opentelemetry/api';
import {
    CompositePropagator,
    W3CBaggagePropagator,
    W3CTraceContextPropagator,
} from '@opentelemetry/core';
import { Links } from '../../portacode/static/js/utils/order.js';
import { memberOf, parseMember } from '../otel/member.js';
import { Relative } from '../otel/relative.js';
import { wireFetch } from '../otel/wires.js';
import { eventually } from './support.mjs';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

/** A program whose counter has this name and is ahead of performance.now() by so much. */
function program(counter, aheadMs) {
    const now = () => performance.now() + aheadMs;
    const stamp = () => ({ counter, counterNs: String(Math.floor(now() * 1e6)) });
    const relative = new Relative({ stamp, counterAt: () => counter, load: async () => Links });
    const propagator = relative.propagator(
        new CompositePropagator({
            propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
        }),
    );
    return { relative, propagator, stamp, now };
}

const parent = (traceState) =>
    trace.setSpanContext(ROOT_CONTEXT, { traceId: TRACE, spanId: SPAN, traceFlags: 1, traceState });

function injected({ propagator }, context) {
    const carrier = {};
    propagator.inject(context, carrier, defaultTextMapSetter);
    return carrier;
}

const extracted = ({ propagator }, carrier) =>
    propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);

test('the member goes in front of what the user has in tracestate, in place of the one that came', () => {
    const here = program('0123456789abcdef~500', 1000);
    const before = `rojo=1,ntpclock=1.fedcba9876543210.5,congo=2`;
    const came = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: before };
    const carrier = injected(here, extracted(here, came));
    assert.equal(carrier.traceparent, came.traceparent);
    assert.match(carrier.tracestate, /^ntpclock=1\.0123456789abcdef~500\.\d+,rojo=1,congo=2$/);
    assert.deepEqual(injected(here, ROOT_CONTEXT), {}, 'nothing is added without a trace');
});

test('after an exchange a request tells it, and the peer orders its span by it', async () => {
    const [client, server] = [
        program('aaaaaaaaaaaaaaaa~500', 5e6),
        program('bbbbbbbbbbbbbbbb~500', 1e3),
    ];
    const request = injected(client, parent());
    const arrived = server.stamp();
    extracted(server, request);
    client.relative.answered(
        request.tracestate,
        server.relative.answer(request.tracestate, arrived),
    );

    const next = injected(client, parent());
    const { exchange } = parseMember(memberOf(next.tracestate));
    assert.equal(exchange.peer, 'bbbbbbbbbbbbbbbb~500');
    const context = extracted(server, next);
    const span = {
        parentSpanContext: trace.getSpanContext(context),
        _startTimeProvided: false,
        _performanceStartTime: server.now() + 50,
    };
    const said = () => server.relative.attributes(span);
    assert.ok(await eventually(() => said()['ntp_clock.parent_order'] === 'after'));
    const gap = said()['ntp_clock.parent_gap_ns'];
    assert.ok(Math.abs(gap - 50e6) <= said()['ntp_clock.parent_gap_max_error_ns'] + 5e6);
});

test('a member that stands twice, a lie of an exchange, and an answer to nobody change nothing', () => {
    const [here, counter] = [program('bbbbbbbbbbbbbbbb', 0), 'aaaaaaaaaaaaaaaa'];
    const lie = `1.${counter}.900.bbbbbbbbbbbbbbbb.1.1.9223372036854775807.2`;
    for (const tracestate of [
        `ntpclock=1.${counter}.5,ntpclock=1.${counter}.5`,
        `ntpclock=${lie}`,
    ]) {
        const context = extracted(here, { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate });
        const span = {
            parentSpanContext: trace.getSpanContext(context),
            _startTimeProvided: false,
        };
        const said = here.relative.attributes({ ...span, _performanceStartTime: 1 });
        assert.ok(said === null || said['ntp_clock.parent_order'] === 'unknown');
    }
    here.relative.answered(`ntpclock=1.${counter}.5`, `1.${counter}.5.1.2`);
    here.relative.answered(undefined, 'x');
    assert.doesNotMatch(injected(here, parent()).tracestate, /aaaa/);
});

test('an answer that a cache kept of another request teaches nothing', () => {
    const [client, server] = [program('aaaaaaaaaaaaaaaa', 0), program('bbbbbbbbbbbbbbbb', 1e3)];
    const first = injected(client, parent());
    const kept = server.relative.answer(first.tracestate, server.stamp());
    const { sentNs } = parseMember(memberOf(first.tracestate));
    assert.ok(kept.startsWith(`1.bbbbbbbbbbbbbbbb.${sentNs}.`), kept);
    const second = injected(client, parent());
    client.relative.answered(second.tracestate, kept);
    assert.equal(parseMember(memberOf(injected(client, parent()).tracestate)).exchange, null);
    client.relative.answered(first.tracestate, kept);
    const { exchange } = parseMember(memberOf(injected(client, parent()).tracestate));
    assert.equal(exchange.t1, sentNs);
});

test("a page's fetch learns by what an instrumentation adds that came later", async (t) => {
    const page = program('aaaaaaaaaaaaaaaa~500', 0);
    t.mock.method(globalThis, 'fetch', async (url, { headers }) => {
        const { sentNs } = parseMember(memberOf(headers.tracestate));
        const at = Math.floor(performance.now() * 1e6);
        return new Response('', {
            headers: { 'ntp-clock-exchange': `1.bbbbbbbbbbbbbbbb.${sentNs}.${at}.${at}` },
        });
    });
    wireFetch(page.relative);
    const own = globalThis.fetch;
    t.mock.method(globalThis, 'fetch', (url, init = {}) =>
        own(url, { ...init, headers: { ...init.headers, ...injected(page, parent()) } }),
    );
    const response = await fetch('https://example.org/');
    assert.equal(response.status, 200);
    const { exchange } = parseMember(memberOf(injected(page, parent()).tracestate));
    assert.equal(exchange.peer, 'bbbbbbbbbbbbbbbb');
});
