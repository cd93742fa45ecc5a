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

/** As the synchronised clocks show it. */
export function synchronised(trace) {
    return timeline(
        trace,
        (stamp) => stamp.timeMs,
        (stamp) => stamp.maxErrorMs ?? 0,
        (stamp) => stamp.estErrorMs ?? 0,
        (a, b) => {
            const order = trace.order(a, b);
            if (order === Order.CERTAINLY_AFTER) return 'wrong';
            return order === Order.CERTAINLY_BEFORE ? 'sure' : 'unsure';
        },
    );
}

/** As the system's clocks would have it, which know nothing of their errors. */
export function raw(trace) {
    const nothing = () => 0;
    return timeline(
        trace,
        (stamp) => stamp.rawMs,
        nothing,
        nothing,
        (a, b) => (trace.get(b).rawMs < trace.get(a).rawMs ? 'wrong' : 'sure'),
    );
}

function timeline(trace, timeOf, maxOf, estOf, orderOf) {
    const there = KEYS.filter((key) => trace.get(key) !== null && timeOf(trace.get(key)) !== null);
    const zero = Math.min(...there.map((key) => timeOf(trace.get(key))));
    const points = there.map((key) => {
        const stamp = trace.get(key);
        const ms = timeOf(stamp) - zero;
        return { key, lane: laneOf(key), ms, max: maxOf(stamp), est: estOf(stamp) };
    });
    const steps = points.slice(1).map((to, index) => {
        const from = points[index];
        const kind = from.lane === to.lane ? 'work' : 'way';
        return { from, to, kind, order: orderOf(from.key, to.key) };
    });
    const absent = KEYS.filter((key) => trace.get(key) !== null && !there.includes(key));
    return { points, steps, absent, zero };
}

/** Of how many steps the order is certain, undecidable, wrong. */
export function tally({ steps }) {
    const count = (order) => steps.filter((step) => step.order === order).length;
    return { sure: count('sure'), unsure: count('unsure'), wrong: count('wrong') };
}

/** When it was, by the synchronised clocks, or by the server's where they had no time. */
export function timeOfTrace(record, trace) {
    const first = KEYS.map((key) => trace.get(key)?.timeMs ?? null).find((ms) => ms !== null);
    const moment = new Date(first ?? record.created_at);
    return moment.toISOString().slice(11, 21);
}
