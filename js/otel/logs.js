// Log records as they leave: in true time, with what is known of the error.

import { LogCopy } from './copies.js';
import { hrTime, isDated, isSame, nanos, UNSYNCHRONISED, Worst } from './times.js';

/** A time that lies further than this before the hook saw it was passed in by the program. */
const NEAR_MS = 1000;

/**
 * A copy of the record in true time.
 *
 * `emitted` is what the hook noted: `{ nowMs, range }`, performance.now() as the record was made,
 * and where the SDK's look at Date.now() must have been, or null. Of a record that no hook saw it
 * is undefined.
 */
export function datedLog(record, { dates, emitted, server }) {
    if (isDated(record)) return record;
    const worst = new Worst();
    let undated = false;
    const dated = (time) => {
        const reading = readingOf(time, dates, emitted);
        if (reading === null) {
            undated = true;
            return time;
        }
        worst.add(reading);
        return hrTime(reading.timeMs);
    };
    const { hrTime: taken, hrTimeObserved: observed } = record;
    const hrTimeObserved = dated(observed);
    if (undated) return undatedLog(record);
    if (isSame(taken, observed)) {
        const attributes = worst.attributes(record.attributes, server);
        return marked(record, attributes, { hrTime: hrTimeObserved, hrTimeObserved });
    }
    const own = dated(taken);
    const attributes = worst.attributes(record.attributes, server);
    if (undated) attributes['ntp_clock.time_source'] = 'program';
    return marked(record, attributes, { hrTime: own, hrTimeObserved });
}

/** The record as it is, and that nobody knows its times. */
export const undatedLog = (record) => marked(record, { ...record.attributes, ...UNSYNCHRONISED });

function readingOf(time, dates, emitted) {
    if (emitted === undefined) return dates.shown(nanos(time));
    const { nowMs, range, shownMs } = emitted;
    if (range !== null && time[0] * 1000 + Math.floor(time[1] / 1e6) === shownMs) {
        return dates.somewhere(...range);
    }
    return dates.shown(nanos(time), { fromMs: nowMs - NEAR_MS, toMs: nowMs });
}

function marked(record, attributes, { hrTime, hrTimeObserved } = record) {
    return new LogCopy(record, { hrTime, hrTimeObserved, attributes });
}
