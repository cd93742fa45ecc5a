// Metrics as they leave: points in true time, with what is known of the error on the resource.

import { withAttributes } from './copies.js';
import { elapsedMs, hrTime, isDated, nanos, UNSYNCHRONISED, Worst } from './times.js';

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
        if (isDated(metrics.resource)) return metrics;
        const worst = new Worst();
        const used = new Map();
        let undated = false;
        let moved = 0;
        const time = (given) => {
            const ns = nanos(given);
            const reading = used.get(ns) ?? this.#known.get(ns) ?? dates.shown(ns);
            if (reading === null) {
                undated = true;
                return given;
            }
            used.set(ns, reading);
            worst.add(reading);
            return hrTime(reading.timeMs);
        };
        const point = (given) => {
            const startTime = time(given.startTime);
            const endTime = time(given.endTime);
            const backMs = Math.max(0, elapsedMs(endTime, startTime));
            moved = Math.max(moved, backMs);
            return { ...given, startTime, endTime: backMs > 0 ? startTime : endTime };
        };
        const scopeMetrics = metrics.scopeMetrics.map((scope) => ({
            ...scope,
            metrics: scope.metrics.map((metric) => ({
                ...metric,
                dataPoints: metric.dataPoints.map(point),
            })),
        }));
        const { attributes: own } = metrics.resource;
        worst.moved(moved);
        const attributes = undated
            ? { ...own, ...UNSYNCHRONISED }
            : worst.rounded().attributes(own, server);
        if (used.size > 0) this.#known = used;
        const resource = withAttributes(metrics.resource, attributes);
        return undated ? { ...metrics, resource } : { ...metrics, resource, scopeMetrics };
    }
}
