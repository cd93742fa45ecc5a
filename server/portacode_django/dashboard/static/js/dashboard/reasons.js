/** What a verdict rests on, in words: counters have the names of those whose they are. */

import { KEYS } from '/static/js/utils/trace.js';
import { NAMES, laneOf } from './timeline.js';

const MESSAGE = /^message (\S+) -> (\S+)$/;

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
        const [from, to] = message.slice(1).map((key) => NAMES[key] ?? key);
        return `message ${from} → ${to}`;
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
