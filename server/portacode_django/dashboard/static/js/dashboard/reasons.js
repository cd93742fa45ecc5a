/** What a verdict rests on, in words: counters have the names of those whose they are. */

import { KEYS } from '/static/js/utils/trace.js';
import { NAMES, laneOf } from './timeline.js';

const MESSAGE = /^message (\w+)(?: of trace (\d))? -> (\w+)(?: of trace \d)?$/;
const LINK = /^link (.+-.+)$/;
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
    const ends = endsOf(reason, names);
    if (ends) return `link ${ends.map((id) => names.get(id) ?? id).join('–')}`;
    // The longest first: a name may be the end of another, which has a scope.
    const ids = [...names.keys()].sort((a, b) => b.length - a.length);
    if (ids.length === 0) return reason;
    // All at once, for a name may look like an id.
    return reason.replace(new RegExp(ids.map(literally).join('|'), 'g'), (id) => names.get(id));
}

/** The ids of a link's two counters; a scope may have hyphens, so known ids come first. */
function endsOf(reason, names) {
    const ends = LINK.exec(reason)?.[1].split('-');
    if (!ends) return null;
    const splits = ends
        .slice(1)
        .map((_, at) => [ends.slice(0, at + 1).join('-'), ends.slice(at + 1).join('-')]);
    const known = (split) => split.filter((id) => names.has(id)).length;
    return splits.reduce((best, split) => (known(split) > known(best) ? split : best));
}

const literally = (text) => text.replace(/[\\^$.*+?()[\]{}|]/g, (sign) => `\\${sign}`);

/** All of them in one line. */
export function allInWords(reasons, names) {
    return reasons.map((reason) => inWords(reason, names)).join('; ');
}
