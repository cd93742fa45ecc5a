// Collections of metrics on their way through the gate, by a clock that is known here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    AggregationTemporality,
    MeterProvider,
    PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Exporters } from '../otel/exporters.js';
import { nanos } from '../otel/times.js';
import { wrapMeterProvider } from '../otel/wrap.js';

/** True times are in here; `shown(ns)` is what the tests have it be. */
function datesOf(shown) {
    const dates = {
        synchronised: true,
        awaited: false,
        server: 'test',
        moment: () => null,
        somewhere: () => null,
        shown,
        sample() {},
        sampleIfDue() {},
        whenSynchronised() {},
    };
    return dates;
}

const reading = (timeMs, maxErrorMs = 1) => ({ timeMs, maxErrorMs, estErrorMs: 1, epoch: 0 });

class Receiver {
    collections = [];

    export(metrics, done) {
        this.collections.push(metrics);
        done({ code: 0 });
    }

    selectAggregationTemporality = () => AggregationTemporality.DELTA;

    async forceFlush() {}

    async shutdown() {}
}

function set({ dates, limits = {} }) {
    const receiver = new Receiver();
    const failures = [];
    const reader = new PeriodicExportingMetricReader({
        exporter: receiver,
        exportIntervalMillis: 60_000,
    });
    const provider = new MeterProvider({ readers: [reader] });
    const exporters = new Exporters({
        dates,
        limits,
        order: () => null,
        failed: (error) => failures.push(error.message),
    });
    wrapMeterProvider(provider, (exporter) => exporters.ofMetrics(exporter));
    return { receiver, failures, provider, exporters, meter: provider.getMeter('test') };
}

const pointsOf = ({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) => metrics.flatMap(({ dataPoints }) => dataPoints));

const collection = (name, times) => ({
    resource: { attributes: { name } },
    scopeMetrics: [
        {
            metrics: [
                {
                    dataPoints: times.map(([start, end]) => ({
                        startTime: [start, 0],
                        endTime: [end, 0],
                        value: 1,
                    })),
                },
            ],
        },
    ],
});

const exported = (exporter, metrics) =>
    new Promise((resolve) => {
        exporter.export(metrics, resolve);
    });

test('a delta starts at the end that left, though that end was moved so that it is not before its start', async () => {
    // The clock was corrected by 9 s back between the two looks.
    const truths = new Map([
        [100n, 1_000_000],
        [101n, 991_000],
        [102n, 1_002_000],
    ]);
    const dates = datesOf((ns) => reading(truths.get(ns / 1_000_000_000n)));
    const { receiver, exporters } = set({ dates });
    const exporter = exporters.ofMetrics(receiver);
    // A point of a later start had the same end, and was not moved by itself.
    await exported(
        exporter,
        collection('one', [
            [101, 101],
            [100, 101],
        ]),
    );
    await exported(exporter, collection('two', [[101, 102]]));
    const [one, two] = receiver.collections;
    for (const { startTime, endTime } of pointsOf(one)) {
        assert.deepEqual(endTime, [1000, 0]);
        assert.ok(nanos(startTime) <= nanos(endTime));
    }
    assert.deepEqual(pointsOf(two)[0].startTime, [1000, 0]);
    for (const { resource } of [one, two]) {
        assert.ok(resource.attributes['ntp_clock.max_error_ns'] >= 10e9, 'moved by 9 s');
    }
});

test('a collection without points says nothing of times', async () => {
    const { receiver, exporters, provider } = set({ dates: datesOf(() => reading(1000)) });
    await exported(exporters.ofMetrics(receiver), collection('empty', []));
    assert.equal(receiver.collections.length, 1);
    const { attributes } = receiver.collections[0].resource;
    assert.deepEqual(
        Object.keys(attributes).filter((name) => name.startsWith('ntp_clock.')),
        [],
    );
    await provider.shutdown();
});

test('a collection that the exporter throws at or never answers is lost once, and those held behind it leave', async (t) => {
    // The gate's own timers keep no program alive.
    const alive = setInterval(() => {}, 10);
    t.after(() => clearInterval(alive));
    const dates = datesOf(() => reading(1000));
    dates.synchronised = false;
    const { receiver, failures, provider, meter } = set({ dates, limits: { exportMs: 30 } });
    const counter = meter.createCounter('things');
    let calls = 0;
    const whole = receiver.export.bind(receiver);
    receiver.export = (metrics, done) => {
        calls += 1;
        if (calls === 1) throw new Error('broken');
        if (calls !== 3) whole(metrics, done);
    };
    for (let place = 0; place < 5; place += 1) {
        counter.add(1, { place });
        // Nobody waits for the flush: it would wait for the clock.
        provider.forceFlush();
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(calls, 0);
    dates.synchronised = true;
    await provider.forceFlush();
    assert.deepEqual(failures, ['broken', 'the exporter did not answer in 30 ms']);
    const places = receiver.collections.flatMap(pointsOf).map(({ attributes }) => attributes.place);
    assert.deepEqual(places, [1, 3, 4]);
    await provider.shutdown();
});

test('a collection whose dating fails leaves as it is, and says that it is not synchronised', async () => {
    const dates = datesOf(() => {
        throw new Error('no history');
    });
    const { receiver, failures, provider, meter } = set({ dates });
    meter.createCounter('things').add(1);
    await provider.forceFlush();
    const [{ resource, ...rest }] = receiver.collections;
    assert.equal(resource.attributes['ntp_clock.synchronised'], false);
    assert.equal(pointsOf(rest).length, 1);
    assert.deepEqual(failures, ['no history']);
    await provider.shutdown();
});
