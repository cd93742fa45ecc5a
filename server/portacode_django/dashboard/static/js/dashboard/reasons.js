/** What a verdict rests on, in words: counters have the names of those whose they are. */

import { KEYS } from '/static/js/utils/trace.js';
import { NAMES, laneOf } from './timeline.js';

const MESSAGE = /^message (\w+)(?: of trace (\d))? -> (\w+)(?: of trace \d)?$/;
/** Of two traces that are laid over one another. */
const WHOSE = { 1: ' of the first', 2: ' of the second' };

/**
 * The names of the counters of some traces, by their ids. `traces` are pairs of a trace and its
 * device's name.
 */
export function counterNames(traces) {
    const names = new Map();
    for (const [trace, device] of traces) {
        for (const key of KEYS) {
            const counter = trace.get(key)?.counter ?? null;
            if (counter === null) continue;
            const lane = laneOf(key);
            names.set(counter, lane === 'device' ? device : lane);
        }
    }
    return names;
}

/** One reason, as people read it. */
export function inWords(reason, names) {
    const message = MESSAGE.exec(reason);
    if (message) {
        const [, from, trace, to] = message;
        const [sent, received] = [from, to].map((key) => NAMES[key] ?? key);
        return `message ${sent} → ${received}${WHOSE[trace] ?? ''}`;
    }
    let told = reason;
    // The longest first: a name may be the end of another, which has a scope.
    for (const [id, name] of [...names].sort(([a], [b]) => b.length - a.length)) {
        told = told.replaceAll(id, name);
    }
    return told.replace(/^link (.*)-(.*)$/, 'link $1–$2');
}

/** All of them in one line. */
export function allInWords(reasons, names) {
    return reasons.map((reason) => inWords(reason, names)).join('; ');
}
