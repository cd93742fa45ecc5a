// Exporters around the program's own: a gate, and behind it what dates spans, logs or metrics.

import { Gate } from './gate.js';
import { datedLog, undatedLog } from './logs.js';
import { emitted, endedMs } from './marks.js';
import { DatedMetrics, undatedMetrics } from './metrics.js';
import { datedSpan, undatedSpan } from './spans.js';

/** Estimates, bytes: an item's own, and one attribute's. */
const ITEM_BYTES = 400;
const PAIR_BYTES = 48;

function attributesSize(attributes) {
    let bytes = 0;
    for (const name in attributes) {
        const value = attributes[name];
        bytes += PAIR_BYTES + 2 * name.length;
        if (typeof value === 'string') bytes += 2 * value.length;
        else if (Array.isArray(value)) bytes += PAIR_BYTES * value.length;
    }
    return bytes;
}

function spanSize(span) {
    let bytes = ITEM_BYTES + 2 * span.name.length + attributesSize(span.attributes);
    for (const event of span.events) bytes += ITEM_BYTES / 2 + attributesSize(event.attributes);
    return bytes + span.links.length * ITEM_BYTES;
}

function logSize({ attributes, body }) {
    const text = typeof body === 'string' ? 2 * body.length : ITEM_BYTES;
    return ITEM_BYTES + text + attributesSize(attributes);
}

function metricsSize({ scopeMetrics }) {
    let points = 0;
    for (const { metrics } of scopeMetrics) {
        for (const { dataPoints } of metrics) points += dataPoints.length;
    }
    return ITEM_BYTES * (1 + points);
}

/** What makes exporters: `dates`, the gate's `limits`, `order` of spans, and `failed(error)`. */
export class Exporters {
    #dates;
    #limits;
    #order;
    #failed;
    #gates = new Set();

    constructor({ dates, limits, order, failed }) {
        this.#dates = dates;
        this.#limits = limits;
        this.#order = order;
        this.#failed = failed;
    }

    /** The page is about to be hidden, and may never run again. */
    leaveAtOnce() {
        for (const gate of this.#gates) gate.leaveAtOnce();
    }

    /** The program ends of itself, and has nothing left to wait with. */
    leaveNow() {
        for (const gate of this.#gates) gate.leaveNow();
    }

    ofSpans(inner) {
        const [dates, order] = [this.#dates, this.#order];
        const dated = (span, server) => {
            const ended = endedMs(span) ?? performance.now();
            return datedSpan(span, { dates, endedMs: ended, server, extra: order(span) });
        };
        return this.#gate(inner, { size: spanSize, dated, undated: undatedSpan });
    }

    ofLogs(inner) {
        const dates = this.#dates;
        const dated = (record, server) =>
            datedLog(record, { dates, emitted: emitted(record), server });
        return this.#gate(inner, { size: logSize, dated, undated: undatedLog });
    }

    /** Of metrics an exporter gets one collection at a time. */
    ofMetrics(inner) {
        const dates = this.#dates;
        const points = new DatedMetrics();
        const dated = (metrics, server) => points.dated(metrics, { dates, server });
        const gate = this.#gate(new OfOne(inner), {
            size: metricsSize,
            dated,
            undated: undatedMetrics,
        });
        return new MetricExporter(inner, gate);
    }

    #gate(inner, { size, dated, undated }) {
        const dates = this.#dates;
        // Nobody's telemetry is lost over its times.
        const leaving = (item, server) => {
            try {
                return dated(item, server);
            } catch (error) {
                this.#failed(error);
            }
            try {
                return undated(item);
            } catch {
                return item;
            }
        };
        const gate = new Gate(inner, {
            prepare(items) {
                // What was just taken lies after the last sample.
                dates.sample();
                const { server } = dates;
                return items.map((item) => leaving(item, server));
            },
            synchronised: () => dates.synchronised,
            awaited: () => dates.awaited,
            size,
            limits: this.#limits,
            failed: this.#failed,
        });
        this.#gates.add(gate);
        dates.whenSynchronised(() => gate.open());
        return gate;
    }
}

/** For the gate, whose batches of metrics are of one collection. */
class OfOne {
    #inner;

    constructor(inner) {
        this.#inner = inner;
    }

    export([metrics], done) {
        this.#inner.export(metrics, done);
    }

    forceFlush() {
        return this.#inner.forceFlush?.();
    }

    shutdown() {
        return this.#inner.shutdown();
    }
}

class MetricExporter {
    #inner;
    #gate;

    constructor(inner, gate) {
        this.#inner = inner;
        this.#gate = gate;
        // Readers look whether there is one.
        for (const name of ['selectAggregation', 'selectAggregationTemporality']) {
            if (typeof inner[name] === 'function') this[name] = (kind) => this.#inner[name](kind);
        }
    }

    export(metrics, done) {
        this.#gate.export([metrics], done);
    }

    forceFlush() {
        return this.#gate.forceFlush();
    }

    shutdown() {
        return this.#gate.shutdown();
    }
}
