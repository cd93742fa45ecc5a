// Spans as they leave: in true time, with what is known of the error.

import { SpanCopy } from './copies.js';
import {
    elapsedMs,
    hrTime,
    isDated,
    isSame,
    isWholeMs,
    millis,
    nanos,
    UNSYNCHRONISED,
    Worst,
} from './times.js';

/** A time that lies further than this before the hook saw it was passed in by the program. */
const NEAR_MS = 1000;
/** The SDK rounds what performance.now() says. */
const CLOSE_MS = 0.001;
/** Instrumentations that pass in times of the local clock. */
const KNOWN =
    /^@opentelemetry\/instrumentation-(?:fetch|xml-http-request|document-load|user-interaction|http|undici)$/;

export const isKnownScope = (name) => KNOWN.test(name);

/**
 * A copy of the span in true time.
 *
 * `dates` gives readings, or null: `moment(ms)` of performance.now(), `somewhere(fromMs, toMs)`,
 * and `shown(ns, { fromMs, toMs })` of what Date.now() showed. `endedMs` is performance.now() as
 * the SDK passed the ended span on. `server` is who keeps the clock. `extra` are attributes more.
 */
export function datedSpan(span, { dates, endedMs, server, extra = null }) {
    if (isDated(span)) return span;
    const times = timesOf(span, dates, endedMs);
    const start = times(span.startTime, true);
    const end = start === PROGRAM ? PROGRAM : times(span.endTime, false);
    if (start === PROGRAM || end === PROGRAM) return marked(span, BY_PROGRAM, extra);
    if (start === null || end === null) return marked(span, null, extra);

    const worst = new Worst();
    worst.add(start);
    worst.add(end);
    let given = false;
    let { events } = span;
    if (events.length > 0) {
        events = events.map((event) => {
            const reading = times(event.time, false);
            given ||= reading === PROGRAM;
            if (reading === PROGRAM || reading === null) return event;
            worst.add(reading);
            return { ...event, time: hrTime(reading.timeMs) };
        });
    }
    const startTime = hrTime(start.timeMs);
    // The readings of two epochs may go back.
    const endTime = hrTime(Math.max(start.timeMs, end.timeMs));
    worst.moved(Math.max(0, start.timeMs - end.timeMs));
    const attributes = worst.attributes(span.attributes, server);
    if (given) Object.assign(attributes, BY_PROGRAM);
    if (extra !== null) Object.assign(attributes, extra);
    const duration = difference(startTime, endTime);
    return new SpanCopy(span, { startTime, endTime, duration, events, attributes });
}

const PROGRAM = Symbol('a time that the program passed in');
const BY_PROGRAM = Object.freeze({ 'ntp_clock.time_source': 'program' });

/**
 * Gives the reading of a time of this span, null where nobody knows it, or PROGRAM.
 *
 * As it starts, the SDK looks at Date.now(), which is rounded down to 1 ms, and at once at
 * performance.now(), to which it counts the end and the events. The second is exact, whatever
 * Date.now() said. Numbers of performance.now() that are passed in go through the same line. Where
 * a start is passed in, though, other times are looked up at Date.now().
 */
function timesOf(span, dates, endedMs) {
    const { _performanceStartTime: startedMs, _startTimeProvided: isGiven } = span;
    if (typeof startedMs !== 'number' || typeof isGiven !== 'boolean') {
        return (time) => dates.shown(nanos(time), { toMs: endedMs });
    }
    const known = isKnownScope(span.instrumentationScope?.name ?? '');
    if (!isGiven) {
        const { startTime } = span;
        return (time, isStart) => {
            if (isStart || isSame(time, startTime)) return dates.moment(startedMs);
            const ms = startedMs + elapsedMs(startTime, time);
            if (!isWholeMs(time)) {
                if (ms >= startedMs && ms <= endedMs + CLOSE_MS) return dates.moment(ms);
                return known ? ofOrigin(time, dates, startedMs, endedMs) : PROGRAM;
            }
            // Perhaps of Date.now(), which the program looked at.
            if (ms >= startedMs - 1 && ms <= endedMs + 1) {
                const from = Math.max(ms - 1, startedMs);
                return dates.somewhere(from, Math.max(from, Math.min(ms + 1, endedMs)));
            }
            if (!known) return PROGRAM;
            return dates.shown(nanos(time), { fromMs: startedMs - 1, toMs: endedMs }) ?? PROGRAM;
        };
    }
    const shownMs = startedMs + performance.timeOrigin + (span._performanceOffset ?? NaN);
    return (time, isStart) => {
        const latestMs = isStart ? startedMs : endedMs;
        const earliestMs = known ? 0 : (isStart ? latestMs : startedMs) - NEAR_MS;
        if (isWholeMs(time)) {
            return dates.shown(nanos(time), { fromMs: earliestMs, toMs: latestMs }) ?? PROGRAM;
        }
        const ms = startedMs + (millis(time) - shownMs);
        if (ms >= earliestMs && ms <= latestMs + CLOSE_MS) return dates.moment(ms);
        return known ? ofOrigin(time, dates, earliestMs, latestMs) : PROGRAM;
    };
}

/** A time that was counted from performance.timeOrigin. */
function ofOrigin(time, dates, earliestMs, latestMs) {
    const ms = millis(time) - performance.timeOrigin;
    return ms >= earliestMs - CLOSE_MS && ms <= latestMs + CLOSE_MS ? dates.moment(ms) : PROGRAM;
}

function difference([fromSeconds, fromNs], [seconds, ns]) {
    const rest = ns - fromNs;
    return rest < 0 ? [seconds - fromSeconds - 1, rest + 1e9] : [seconds - fromSeconds, rest];
}

/** The span as it is, and that nobody knows its times. */
export const undatedSpan = (span) => marked(span, null, null);

/** The span as it is, but for what it says about its times. */
function marked(span, why, extra) {
    const { startTime, endTime, duration, events } = span;
    const attributes = { ...span.attributes, ...UNSYNCHRONISED, ...why, ...extra };
    return new SpanCopy(span, { startTime, endTime, duration, events, attributes });
}
