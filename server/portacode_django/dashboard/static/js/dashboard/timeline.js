/** A trace as it is drawn: where each stamp stands, and what lies between two of them. */

import { KEYS, Order, Trace, TraceError } from '/static/js/utils/trace.js';

export const LANES = ['browser', 'server', 'device'];

export const NAMES = {
    client_send: 'browser sends',
    server_receive: 'server receives',
    server_send: 'server sends on',
    device_receive: 'device receives',
    handler_receive: 'handler gets it',
    handler_dispatch: 'handler starts',
    handler_complete: 'handler is done',
    device_send: 'device answers',
    server_receive_response: 'server has the answer',
    server_send_response: 'server sends it on',
    client_receive: 'browser has it',
};

/** What can be said of the order of two stamps. */
export const VERDICTS = {
    clock: 'certain by clock',
    cause: 'certain by cause',
    unsure: 'cannot tell',
    wrong: 'certainly the wrong way',
};

/** How a verdict is marked; what is certain by clock needs no mark. */
export const SIGNS = { clock: '', cause: '∴', unsure: '≈', wrong: '✗' };

export function laneOf(key) {
    if (key.startsWith('client')) return 'browser';
    return key.startsWith('server') ? 'server' : 'device';
}

/** The trace of a record; an empty one where the record's cannot be read. */
export function traceOf(record) {
    let trace = read.get(record);
    if (!trace) read.set(record, (trace = readTrace(record)));
    return trace;
}

// Histograms ask for all of them, over and over.
const read = new WeakMap();

function readTrace(record) {
    try {
        return Trace.fromMessage(record.trace);
    } catch (error) {
        if (!(error instanceof TraceError)) throw error;
        return new Trace();
    }
}

/** As the synchronised clocks and the links between them show it, relative to the first stamp. */
export function synchronised(trace) {
    let line = lines.get(trace);
    if (!line) lines.set(trace, (line = relative(trace)));
    return line;
}

// The list, the histograms and the picture ask for the same.
const lines = new WeakMap();

function relative(trace) {
    const stamped = KEYS.filter((key) => trace.get(key) !== null);
    const first = stamped.find((key) => trace.get(key).timeMs !== null) ?? stamped[0];
    const points = [];
    for (const key of stamped) {
        const place = key === first ? HERE : relationOf(trace, first, key);
        if (place.max !== null) points.push({ key, lane: laneOf(key), ...place });
    }
    const wrong = new Set(trace.problems().map(({ earlier, later }) => `${earlier} ${later}`));
    const steps = points.slice(1).map((to, index) => {
        const from = points[index];
        const relation = relationOf(trace, from.key, to.key);
        const verdict = wrong.has(`${from.key} ${to.key}`) ? 'wrong' : relation.verdict;
        return { ...relation, from, to, kind: kindOf(from, to), verdict };
    });
    const placed = new Set(points.map(({ key }) => key));
    const absent = stamped.filter((key) => !placed.has(key));
    return { points, steps, absent, utcMs: offUtc(trace, points) };
}

const HERE = { ms: 0, low: 0, high: 0, max: 0, est: 0 };

/** How the second stamp stands to the first: computed once, for it is asked for again and again. */
export function relationOf(trace, a, b) {
    if (!relations.has(trace)) relations.set(trace, new Map());
    const known = relations.get(trace);
    const pair = `${a} ${b}`;
    if (!known.has(pair)) known.set(pair, asShown(trace.relation(a, b)));
    return known.get(pair);
}

const relations = new WeakMap();

/**
 * A relation as it is drawn: the best estimate, the ends of the interval that certainly holds the
 * truth, half its width (null where it is open), one standard deviation, the verdict, its reasons.
 */
export function asShown({ order, by, lowerMs, upperMs, estMs, estErrorMs, restsOn }) {
    const closed = lowerMs !== null && upperMs !== null;
    return {
        ms: estMs ?? (closed ? (lowerMs + upperMs) / 2 : null),
        low: lowerMs,
        high: upperMs,
        max: closed ? (upperMs - lowerMs) / 2 : null,
        est: estErrorMs,
        order,
        by,
        verdict: verdictOf(order, by),
        restsOn,
    };
}

function verdictOf(order, by) {
    if (order === Order.CERTAINLY_AFTER) return 'wrong';
    if (order === Order.CANNOT_TELL) return 'unsure';
    return by === 'cause' ? 'cause' : 'clock';
}

/**
 * By how much all stamps together may be off from UTC: each reading says where the first stamp was,
 * and the narrowest that they say together counts. Null without a reading.
 */
function offUtc(trace, points) {
    if (points.length === 0) return null;
    const zero = trace.get(points[0].key).timeMs;
    let [lower, upper] = [-Infinity, Infinity];
    for (const { key, low, high } of points) {
        const { timeMs, maxErrorMs } = trace.get(key);
        if (timeMs === null || maxErrorMs === null || zero === null) continue;
        lower = Math.max(lower, timeMs - zero - maxErrorMs - high);
        upper = Math.min(upper, timeMs - zero + maxErrorMs - low);
    }
    // Readings that cannot all be true say nothing together.
    return lower <= upper && Number.isFinite(upper - lower) ? Math.max(-lower, upper, 0) : null;
}

/** As the system's clocks would have it, which know nothing of their errors. */
export function raw(trace) {
    const there = KEYS.filter((key) => (trace.get(key)?.rawMs ?? null) !== null);
    const zero = Math.min(...there.map((key) => trace.get(key).rawMs));
    const points = there.map((key) => {
        const ms = trace.get(key).rawMs - zero;
        return { key, lane: laneOf(key), ms, low: ms, high: ms, est: 0 };
    });
    const steps = points.slice(1).map((to, index) => {
        const from = points[index];
        const ms = to.ms - from.ms;
        const verdict = ms < 0 ? 'wrong' : 'clock';
        return { from, to, kind: kindOf(from, to), verdict, ms, max: null, est: null, restsOn: [] };
    });
    const absent = KEYS.filter((key) => trace.get(key) !== null && !there.includes(key));
    return { points, steps, absent, utcMs: null };
}

const kindOf = (from, to) => (from.lane === to.lane ? 'work' : 'way');

/** Of how many steps the order is certain by clocks, by their cause alone, undecidable, wrong. */
export function tally({ steps }) {
    const count = (verdict) => steps.filter((step) => step.verdict === verdict).length;
    return Object.fromEntries(Object.keys(VERDICTS).map((verdict) => [verdict, count(verdict)]));
}

/** The widest that a step's interval is, to each side; null where nothing is known of any. */
export function widest({ steps }) {
    const known = steps.map(({ max }) => max).filter((max) => max !== null);
    return known.length > 0 ? Math.max(...known) : null;
}

/** When it was, by the synchronised clocks, or by the server's where they had no time. */
export function timeOfTrace(record, trace) {
    const first = KEYS.map((key) => trace.get(key)?.timeMs ?? null).find((ms) => ms !== null);
    const moment = new Date(first ?? record.created_at);
    return moment.toISOString().slice(11, 21);
}
