// The gate around an exporter, under the SDK's own processors.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { isTracingSuppressed } from '@opentelemetry/core';
import {
    BasicTracerProvider,
    BatchSpanProcessor,
    SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { Gate } from '../otel/gate.js';
import { wrapTracerProvider } from '../otel/wrap.js';
import { eventually } from './support.mjs';

/** An exporter that answers when it is let. */
class Receiver {
    batches = [];
    most = 0;
    #running = 0;

    export(items, done) {
        this.batches.push(items);
        this.#running += 1;
        this.most = Math.max(this.most, this.#running);
        setImmediate(() => {
            this.#running -= 1;
            done({ code: 0 });
        });
    }

    get names() {
        return this.batches.flat().map(({ name }) => name);
    }

    async shutdown() {}
}

function set(Processor, { processor, ...options } = {}) {
    const receiver = new Receiver();
    const clock = { synchronised: false };
    const provider = new BasicTracerProvider({
        spanProcessors: [new Processor(receiver, processor)],
    });
    const gateOf = (exporter) =>
        new Gate(exporter, {
            prepare: (spans) =>
                spans.map(({ name }) => ({ name, synchronised: clock.synchronised })),
            synchronised: () => clock.synchronised,
            size: () => 1000,
            ...options,
        });
    const [gate, ...others] = wrapTracerProvider(provider, gateOf);
    assert.deepEqual(others, []);
    assert.deepEqual(wrapTracerProvider(provider, gateOf), [], 'wrapped twice');
    const tracer = provider.getTracer('test');
    const spans = (from, to) => {
        for (let i = from; i < to; i += 1) tracer.startSpan(`${i}`).end();
    };
    return { receiver, clock, gate, provider, spans };
}

const numbers = (count) => Array.from({ length: count }, (_, i) => `${i}`);
const settled = (milliseconds = 50) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('spans from before the first synchronisation wait and leave once, in order, before newer ones', async () => {
    const { receiver, clock, gate, provider, spans } = set(SimpleSpanProcessor);
    spans(0, 1500);
    assert.ok(await eventually(() => gate.waiting === 1500));
    await settled();
    assert.equal(gate.waiting, 1500);
    assert.deepEqual(receiver.batches, []);
    clock.synchronised = true;
    gate.open();
    spans(1500, 1600);
    await provider.forceFlush();
    await settled();
    assert.deepEqual(receiver.names, numbers(1600));
    assert.equal(receiver.most, 1);
    assert.ok(receiver.batches.flat().every((span) => span.synchronised));
    await provider.shutdown();
});

test('after the time-out everything leaves as it is, and the gate stays open', async () => {
    const { receiver, gate, provider, spans } = set(SimpleSpanProcessor, {
        limits: { waitMs: 20 },
    });
    spans(0, 3);
    assert.ok(await eventually(() => receiver.names.length === 3));
    assert.equal(gate.waiting, 0);
    spans(3, 5);
    assert.ok(await eventually(() => receiver.names.length >= 5));
    assert.deepEqual(receiver.names, numbers(5));
    assert.ok(receiver.batches.flat().every((span) => !span.synchronised));
    await provider.shutdown();
});

for (const limits of [{ items: 10 }, { bytes: 10_000 }]) {
    test(`a gate that is full by ${Object.keys(limits)} lets the oldest go and loses none`, async () => {
        const { receiver, gate, provider, spans } = set(SimpleSpanProcessor, { limits });
        spans(0, 35);
        assert.ok(await eventually(() => receiver.names.length >= 25));
        assert.equal(gate.waiting, 10);
        assert.deepEqual(
            receiver.names.sort((a, b) => a - b),
            numbers(25),
        );
        await provider.shutdown();
        assert.deepEqual(
            receiver.names.sort((a, b) => a - b),
            numbers(35),
        );
    });
}

test('after a sleep the gate closes until there are readings again, or its time is up', async () => {
    let awaited = false;
    const { receiver, clock, gate, provider, spans } = set(SimpleSpanProcessor, {
        awaited: () => awaited,
        limits: { waitMs: 400 },
    });
    clock.synchronised = true;
    spans(0, 2);
    awaited = true;
    const began = performance.now();
    spans(2, 4);
    assert.ok(await eventually(() => receiver.names.length >= 2));
    await settled(5);
    const left = receiver.names;
    // A busy machine may take longer over this than the gate waits.
    if (performance.now() - began < 350) assert.deepEqual(left, numbers(2));
    awaited = false;
    gate.open();
    spans(4, 5);
    assert.ok(await eventually(() => receiver.names.length >= 5));
    assert.deepEqual(receiver.names, numbers(5));
    awaited = true;
    spans(5, 6);
    assert.ok(await eventually(() => receiver.names.length >= 6));
    // It does not wait twice for the same.
    spans(6, 7);
    assert.ok(await eventually(() => receiver.names.length >= 7));
    assert.deepEqual(receiver.names, numbers(7));
    await provider.shutdown();
});

test('shutdown lets everything leave at once', async () => {
    const { receiver, provider, spans } = set(BatchSpanProcessor);
    spans(0, 1000);
    await provider.shutdown();
    assert.deepEqual(receiver.names, numbers(1000));
});

test('a flush waits for the synchronisation and then for the exporter', async () => {
    const { receiver, clock, gate, provider, spans } = set(BatchSpanProcessor);
    spans(0, 5);
    setTimeout(() => {
        clock.synchronised = true;
        gate.open();
    }, 30);
    await provider.forceFlush();
    assert.deepEqual(receiver.names, numbers(5));
    assert.ok(receiver.batches.flat().every((span) => span.synchronised));
    await provider.shutdown();
});

test('an inner exporter that raises loses its batch once, and the next batch leaves', async () => {
    const failures = [];
    const { receiver, gate, provider, spans } = set(BatchSpanProcessor, {
        processor: { scheduledDelayMillis: 10 },
        failed: (error) => failures.push(error.message),
    });
    const whole = receiver.export.bind(receiver);
    receiver.export = (items, done) => {
        if (items.some(({ name }) => name === '0')) throw new Error('broken');
        whole(items, done);
    };
    spans(0, 600);
    await settled();
    gate.open();
    await provider.forceFlush();
    assert.deepEqual(failures, ['broken']);
    assert.deepEqual(receiver.names, numbers(600).slice(512));
    await provider.shutdown();
});

test('an inner exporter that hangs loses what it holds, and the next batch leaves', async () => {
    const failures = [];
    const { receiver, gate, provider, spans } = set(BatchSpanProcessor, {
        processor: { scheduledDelayMillis: 10 },
        limits: { exportMs: 30 },
        failed: (error) => failures.push(error.message),
    });
    const whole = receiver.export.bind(receiver);
    receiver.export = (items, done) => {
        if (items.every(({ name }) => name !== '0')) whole(items, done);
    };
    spans(0, 600);
    await settled();
    gate.open();
    await provider.forceFlush();
    assert.deepEqual(failures, ['the exporter did not answer in 30 ms']);
    assert.deepEqual(receiver.names, numbers(600).slice(512));
    await provider.shutdown();
});

test('an exporter that is slow holds up the exporting program, and no batch is dropped for that', async () => {
    const { receiver, gate } = set(SimpleSpanProcessor, { limits: { items: 10 } });
    const answers = [];
    receiver.export = (items, done) => answers.push(() => done({ code: 0 }));
    let answered = 0;
    const items = (from, to) =>
        numbers(to)
            .slice(from)
            .map((name) => ({ name }));
    for (let i = 0; i < 30; i += 1) gate.export(items(i, i + 1), () => (answered += 1));
    assert.ok(answered >= 10 && answered < 30, `${answered} of 30 are answered`);
    while (answers.length > 0) {
        answers.shift()();
        await settled(5);
    }
    assert.equal(answered, 30);
    assert.equal(gate.waiting, 10);
    gate.open();
});

test('held batches leave as the SDK made them', async () => {
    const { receiver, gate, provider, spans } = set(BatchSpanProcessor, {
        processor: { scheduledDelayMillis: 10, maxExportBatchSize: 50 },
    });
    spans(0, 120);
    assert.ok(await eventually(() => gate.waiting === 120));
    gate.open();
    await provider.forceFlush();
    assert.deepEqual(
        receiver.batches.map(({ length }) => length),
        [50, 50, 20],
    );
    assert.deepEqual(receiver.names, numbers(120));
    await provider.shutdown();
});

for (const limits of [{ items: 10 }, { bytes: 10_000 }]) {
    test(`of a batch that is too large by ${Object.keys(limits)} the oldest items leave, and no more`, async () => {
        const { receiver, gate, provider, spans } = set(BatchSpanProcessor, {
            processor: { scheduledDelayMillis: 10, maxExportBatchSize: 20 },
            limits,
        });
        spans(0, 15);
        assert.ok(await eventually(() => receiver.names.length >= 5));
        await settled();
        assert.deepEqual(receiver.names, numbers(5));
        assert.equal(gate.waiting, 10);
        spans(15, 19);
        assert.ok(await eventually(() => receiver.names.length >= 9));
        await settled();
        assert.deepEqual(receiver.names, numbers(9));
        await provider.shutdown();
        assert.deepEqual(receiver.names, numbers(19));
    });
}

test('held items are exported in the context of their export, in which nothing is traced', async (t) => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    t.after(() => context.disable());
    const { receiver, gate, provider, spans } = set(BatchSpanProcessor, {
        processor: { scheduledDelayMillis: 10, maxExportBatchSize: 5 },
    });
    const seen = [];
    const whole = receiver.export.bind(receiver);
    receiver.export = async (items, done) => {
        const suppressed = [isTracingSuppressed(context.active())];
        await null;
        seen.push([...suppressed, isTracingSuppressed(context.active())]);
        whole(items, done);
    };
    spans(0, 12);
    await settled();
    assert.deepEqual(seen, []);
    // The caller that opens the gate is in the middle of something else.
    context.with(trace.setSpan(ROOT_CONTEXT, provider.getTracer('').startSpan('other')), () =>
        gate.open(),
    );
    await provider.forceFlush();
    assert.deepEqual(seen, Array(3).fill([true, true]));
    await provider.shutdown();
});

test('what waits behind a slow exporter is limited in bytes too', async () => {
    const { receiver, gate } = set(SimpleSpanProcessor, {
        size: ({ bytes }) => bytes,
        limits: { bytes: 1000 },
    });
    const answers = [];
    receiver.export = (items, done) => answers.push(() => done({ code: 0 }));
    let answered = 0;
    for (let i = 0; i < 4; i += 1) gate.export([{ bytes: 1000 }], () => (answered += 1));
    // One waits, one is with the exporter, and one behind it is enough.
    assert.equal(answered, 2);
    for (let i = 0; i < 20; i += 1) gate.export([{ bytes: 1000 }], () => {});
    assert.ok(gate.waiting <= 7, `${gate.waiting} of 1000 bytes each wait here`);
    while (answers.length > 0) {
        answers.shift()();
        await settled(1);
    }
    assert.equal(answered, 4);
    gate.open();
});

test('a page that is left sends what waits without waiting for answers', async () => {
    const { receiver, gate, provider, spans } = set(BatchSpanProcessor, {
        processor: { scheduledDelayMillis: 10, maxExportBatchSize: 50 },
    });
    receiver.export = (items) => receiver.batches.push(items);
    spans(0, 120);
    assert.ok(await eventually(() => gate.waiting === 120));
    gate.leaveAtOnce();
    assert.deepEqual(receiver.names, numbers(120));
    receiver.export = Receiver.prototype.export;
    await provider.shutdown();
});
