// Metrics as they leave: points in true time, with what is known of the error on the resource.

import { withAttributes } from './copies.js';
import { hrTime, isDated, nanos, UNSYNCHRONISED, Worst } from './times.js';

function* pointsOf({ scopeMetrics }) {
    for (const { metrics } of scopeMetrics) {
        for (const { dataPoints } of metrics) yield* dataPoints;
    }
}

/** The collection as it is, and that nobody knows its times. */
export function undatedMetrics(metrics) {
    const attributes = { ...metrics.resource.attributes, ...UNSYNCHRONISED };
    return { ...metrics, resource: withAttributes(metrics.resource, attributes) };
}

/**
 * No point ends before it starts: its end is moved, for all points that have the same end, and for
 * the collection after this one, which may start there. Readings by the SDK's times.
 */
function inOrder(points, readings) {
    for (let moved = true; moved; ) {
        moved = false;
        for (const { startTime, endTime } of points) {
            const start = readings.get(nanos(startTime));
            const end = readings.get(nanos(endTime));
            const backMs = start.timeMs - end.timeMs;
            if (backMs <= 0) continue;
            const maxErrorMs = end.maxErrorMs + backMs;
            readings.set(nanos(endTime), { ...end, timeMs: start.timeMs, maxErrorMs });
            moved = true;
        }
    }
}

/** Of one exporter, which remembers what it made of the SDK's times. */
export class DatedMetrics {
    /** Readings by the SDK's times: those of the last export, which the next one may repeat. */
    #known = new Map();

    /**
     * A copy of what one collection gave.
     *
     * A time that the SDK repeats is repeated: a cumulative start stays what it was, or a backend
     * would see a reset, and a delta starts where the one before it ended.
     */
    dated(metrics, { dates, server }) {
        const points = [...pointsOf(metrics)];
        if (points.length === 0 || isDated(metrics.resource)) return metrics;
        const readings = new Map();
        let undated = false;
        for (const { startTime, endTime } of points) {
            for (const ns of [nanos(startTime), nanos(endTime)]) {
                if (readings.has(ns)) continue;
                const reading = this.#known.get(ns) ?? dates.shown(ns);
                if (reading === null) undated = true;
                else readings.set(ns, reading);
            }
        }
        if (!undated) inOrder(points, readings);
        if (readings.size > 0) this.#known = readings;
        if (undated) return undatedMetrics(metrics);

        const worst = new Worst();
        for (const reading of readings.values()) worst.add(reading);
        const time = (given) => hrTime(readings.get(nanos(given)).timeMs);
        const scopeMetrics = metrics.scopeMetrics.map((scope) => ({
            ...scope,
            metrics: scope.metrics.map((metric) => ({
                ...metric,
                dataPoints: metric.dataPoints.map((point) => ({
                    ...point,
                    startTime: time(point.startTime),
                    endTime: time(point.endTime),
                })),
            })),
        }));
        const attributes = worst.rounded().attributes(metrics.resource.attributes, server);
        const resource = withAttributes(metrics.resource, attributes);
        return { ...metrics, resource, scopeMetrics };
    }
}
