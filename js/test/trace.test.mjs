// The trace library: the vectors that Python reads too, and what stamping does.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ManualClock } from '../../portacode/static/js/utils/ntp-clock.js';
import * as traces from '../../portacode/static/js/utils/trace.js';

const { KEYS, Order, Trace, TraceError, takeStamp } = traces;

const read = (name) =>
    JSON.parse(readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url))).cases;
const vectors = (name) => read(`trace-${name}`);

/** As it arrives: without prototypes and undefined members that deepEqual would look at. */
const sent = (trace) => JSON.parse(JSON.stringify(trace.toMessage()));

for (const { name, text, outcome } of read('traceparent')) {
    test(`traceparent: ${name}`, () => {
        const parsed = traces.parseTraceparent(text);
        const { traceId, spanId, sampled } = parsed ?? {};
        const carried = traces.carriedTraceparent(text);
        const found = { trace_id: traceId, span_id: spanId, sampled, carried };
        assert.deepEqual(parsed && found, outcome);
        if (outcome === null) assert.equal(carried, null);
    });
}

for (const vector of vectors('order')) {
    test(`order: ${vector.name}`, () => {
        const trace = Trace.fromMessage(vector.trace);
        for (const [a, b, expected] of vector.order) assert.equal(trace.order(a, b), expected);
        const found = (problems) =>
            problems.map(({ earlier, later, byMs }) => [earlier, later, byMs]);
        assert.deepEqual(found(trace.problems()), vector.problems);
        assert.deepEqual(found(trace.rawProblems()), vector.raw_problems);
        assert.equal(trace.pingMs, vector.ping);
        const hops = trace.hops();
        if (vector.hops) {
            assert.deepEqual(
                hops.map((hop) => [hop.start, hop.end, hop.ms, hop.maxErrorMs, hop.estErrorMs]),
                vector.hops,
            );
        }
        if (vector.missing) assert.deepEqual(trace.missing(), vector.missing);
        assert.deepEqual(trace.unsynced, vector.unsynced ?? {});
    });
}

const near = (found, wanted) =>
    found === wanted || (found !== null && wanted !== null && Math.abs(found - wanted) < 0.005);

for (const vector of vectors('relations')) {
    test(`relation: ${vector.name}`, () => {
        const read = vector.traces.map((message) => Trace.fromMessage(message));
        for (const { evidence = 'all', ...wanted } of vector.relations) {
            const [[i, a], [j, b]] = [wanted.a, wanted.b];
            const found = traces.relation([read[i], a], [read[j], b], { evidence });
            const shown = JSON.stringify([wanted, found]);
            assert.deepEqual([found.order, found.by], [wanted.order, wanted.by], shown);
            assert.ok(near(found.lowerMs, wanted.lower_ms), shown);
            assert.ok(near(found.upperMs, wanted.upper_ms), shown);
            const { estMs } = found;
            assert.ok(estMs === null || (found.lowerMs <= estMs && estMs <= found.upperMs), shown);
            if (wanted.rests_on) assert.deepEqual([...found.restsOn], wanted.rests_on);
            if (evidence === 'all') {
                assert.equal(traces.order([read[i], a], [read[j], b]), found.order);
            }
            if (i === j) assert.deepEqual(read[i].relation(a, b, { evidence }), found);
        }
        for (const trace of read) {
            const problems = trace.problems();
            const wanted = vector.problems ?? [];
            const pairs = (list) => list.map(([earlier, later]) => [earlier, later]);
            assert.deepEqual(
                problems.map(({ earlier, later }) => [earlier, later]),
                pairs(wanted),
            );
            problems.forEach(({ byMs }, place) => assert.ok(near(byMs, wanted[place][2])));
            assert.equal(trace.contradictions().length, vector.contradictions ?? 0);
        }
        if (vector.hops) {
            const hops = read[0].hops();
            assert.equal(hops.length, vector.hops.length);
            hops.forEach((hop, place) => {
                const { start, end, ms, maxErrorMs, lowerMs, upperMs, absoluteErrorMs } = hop;
                const [from, to, ...numbers] = vector.hops[place];
                assert.deepEqual([start, end], [from, to]);
                [ms, maxErrorMs, lowerMs, upperMs, absoluteErrorMs].forEach((number, index) =>
                    assert.ok(near(number, numbers[index]), JSON.stringify(hop)),
                );
            });
        }
    });
}

for (const vector of vectors('messages')) {
    test(`message: ${vector.name}`, () => {
        const { trace, only = KEYS, scope = null } = vector;
        const read = () => Trace.fromMessage(trace, only, scope);
        if (vector.error) {
            assert.throws(
                read,
                (error) => error instanceof TraceError && error.message.startsWith(vector.error),
            );
            return;
        }
        assert.deepEqual(sent(read()), vector.becomes ?? vector.trace);
    });
}

for (const vector of vectors('merge')) {
    test(`merge: ${vector.name}`, () => {
        const own = Trace.fromMessage(vector.own);
        own.merge(Trace.fromMessage(vector.other), vector.only ?? KEYS);
        assert.deepEqual(sent(own), vector.merged);
    });
}

test("a stamp is one reading with its errors, its epoch and the system's time", () => {
    const clock = new ManualClock();
    clock.set(1759639032768.445, { maxErrorMs: 2, estErrorMs: 0.5 });
    const before = Date.now();
    const trace = new Trace();
    trace.stamp('client_send', clock, 'browser');
    const { raw, max_error_ms, ...rest } = sent(trace);
    assert.ok(before <= raw.client_send && raw.client_send <= Date.now());
    assert.ok(max_error_ms.client_send >= 2 && max_error_ms.client_send < 2.001);
    assert.deepEqual(rest, {
        client_send: 1759639032768.445,
        est_error_ms: { client_send: 0.5 },
        epoch: { client_send: clock.read().epoch },
        entities: { client_send: 'browser' },
        counter: { client_send: clock.stamp().counter },
        counter_ns: { client_send: '0' },
    });
});

test('a stamp without time has its counter, and says how coarse that is', () => {
    const clock = new ManualClock();
    clock.advance(1.5);
    const stamp = takeStamp(clock);
    assert.deepEqual([stamp.timeMs, stamp.counterNs], [null, '1500000']);
    assert.equal(stamp.counterResolutionNs, null);
    const getStatus = () => clock.getStatus();
    const coarse = { stamp: () => ({ ...clock.stamp(), resolutionNs: 100000 }), getStatus };
    const trace = new Trace();
    trace.put('client_send', takeStamp(coarse), 'browser');
    assert.deepEqual(sent(trace).counter_resolution_ns, { client_send: 100000 });
    const older = { read: () => null, getStatus };
    assert.equal(takeStamp(older).counter, null, 'a clock without stamp() has none');
});

test('links are added one for two counters and eight at the most', () => {
    const { trace: given } = vectors('messages').find(({ name }) => name.startsWith('links, of'));
    const link = given.links.at(-1);
    const trace = new Trace();
    const name = (number) => String(number).padStart(16, '0');
    for (const number of [0, 1, 2, 3, 4, 5, 6, 7, 3]) {
        trace.addLink({ ...link, a: name(number), a_ns: '5', more: 1 });
    }
    assert.deepEqual(
        trace.links.map(({ a }) => a),
        [0, 1, 2, 4, 5, 6, 7, 3].map(name),
    );
    assert.deepEqual(sent(trace), { links: trace.links });
    const refused = (more, reason) =>
        assert.throws(
            () => trace.addLink({ ...link, ...more }),
            (error) => error instanceof TraceError && reason.test(error.message),
        );
    refused({ a: 'f'.repeat(16) }, /a trace has 8 links at the most/);
    refused({ a: name(0), lower_ns: link.upper_ns + 1 }, /the link has a lower bound above/);
    for (const scope of ['', 'a/b', 'x'.repeat(65), 'ä', 5]) {
        assert.throws(() => Trace.fromMessage(null, KEYS, scope), RangeError);
    }
});

test('a clock without time leaves the stamp out and says why', () => {
    const clock = new ManualClock();
    const trace = new Trace();
    trace.stamp('client_send', clock, 'browser');
    clock.set(1759639032000);
    trace.put('client_receive', takeStamp(clock), 'browser');
    const message = sent(trace);
    assert.ok(!('client_send' in message) && !('ping' in message));
    assert.ok(message.unsynced.client_send.length > 0);
    assert.deepEqual(Object.keys(message.raw), ['client_send', 'client_receive']);
    assert.equal(trace.missing()[0], 'client_send');
    assert.deepEqual(sent(Trace.fromMessage(message)), message);
});

test('a stamp is made once and has a known name', () => {
    const clock = new ManualClock();
    clock.set(1759639032000);
    const trace = new Trace();
    trace.stamp('client_send', clock, 'browser');
    assert.throws(() => trace.stamp('client_send', clock, 'browser'), /is stamped already/);
    assert.throws(() => trace.stamp('client_sent', clock, 'browser'), /there is no stamp/);
    assert.throws(() => trace.stamp('toString', clock, 'browser'), /there is no stamp/);
});

test('one clock is ordered by its readings and two by their errors', () => {
    const [here, there] = [new ManualClock(), new ManualClock()];
    here.set(1759639032000, { maxErrorMs: 5 });
    there.set(1759639032001, { maxErrorMs: 5 });
    const trace = new Trace();
    trace.stamp('client_send', here, 'browser');
    trace.stamp('server_receive', there, 'server:a');
    there.advance(1);
    trace.stamp('server_send', there, 'server:a');
    assert.equal(
        trace.relation('client_send', 'server_receive', { evidence: 'exchanges' }).by,
        null,
    );
    assert.equal(trace.relation('client_send', 'server_receive').by, 'cause');
    assert.equal(trace.relation('server_receive', 'server_send').by, 'clock');
    const other = new Trace();
    other.stamp('client_send', here, 'browser');
    const found = traces.order([other, 'client_send'], [trace, 'server_receive']);
    assert.equal(found, Order.CANNOT_TELL);
});

test('too many unknown keys are refused, wherever they are', () => {
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`key${n}`, n]));
    for (const trace of [many, { epoch: many }]) {
        assert.throws(() => Trace.fromMessage(trace), /65 unknown keys, and 64 are the most/);
    }
    assert.throws(() => Trace.fromMessage({ client_send: NaN }), /out of range/);
    const deep = JSON.parse('['.repeat(100000) + ']'.repeat(100000));
    assert.throws(() => Trace.fromMessage({ deep }), TraceError);
});

test('a long reason is cut', () => {
    const trace = Trace.fromMessage({ unsynced: { client_send: 'x'.repeat(5000) } });
    assert.equal(trace.unsynced.client_send.length, 200);
});

test('the types name everything that there is', () => {
    const types = readFileSync(
        new URL('../../portacode/static/js/utils/trace.d.ts', import.meta.url),
        'utf8',
    );
    const declared = types.matchAll(/^export (?:const|class|function) (\w+)/gm);
    const names = [...[...declared].map(([, name]) => name), 'Order'];
    assert.deepEqual(names.sort(), Object.keys(traces).sort());
    assert.match(types, /^export \{ Order \};$/m);
    for (const key of KEYS) assert.ok(types.includes(`'${key}'`), key);
});
