// Metrics as they leave: points in true time, with what is known of the error on the resource.

import { withAttributes } from './copies.js';
import { hrTime, isDated, nanos, UNSYNCHRONISED, Worst } from './times.js';

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
            return { ...given, startTime, endTime: notBefore(startTime, time(given.endTime)) };
        };
        const scopeMetrics = metrics.scopeMetrics.map((scope) => ({
            ...scope,
            metrics: scope.metrics.map((metric) => ({
                ...metric,
                dataPoints: metric.dataPoints.map(point),
            })),
        }));
        const { attributes: own } = metrics.resource;
        const attributes = undated ? { ...own, ...UNSYNCHRONISED } : worst.attributes(own, server);
        if (used.size > 0) this.#known = used;
        const resource = withAttributes(metrics.resource, attributes);
        return undated ? { ...metrics, resource } : { ...metrics, resource, scopeMetrics };
    }
}

function notBefore(least, time) {
    const apart = time[0] - least[0] || time[1] - least[1];
    return apart < 0 ? least : time;
}
