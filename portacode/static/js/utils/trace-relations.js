// How the stamps of traces stand to one another, by all that is known of their clocks.

import { Order, Relations, WasmUnavailable } from './order.js';
import { KEYS } from './trace-parts.js';

export { Order };

const UNKNOWN = Object.freeze({
    order: Order.CANNOT_TELL,
    by: null,
    lowerMs: null,
    upperMs: null,
    estMs: null,
    estErrorMs: null,
    restsOn: Object.freeze([]),
});
// The end of signed 64-bit nanoseconds.
const LIMIT_MS = 9_223_372_036_854;
const COUNTER_MAX_NS = (1n << 63n) - 1n;

let warned = false;

/**
 * The stamps of some traces, and how any two of them stand to one another. A part of them is
 * `{stamps, entities, links}`, maps by key and a list; `causes` is whether it counts that each stamp
 * of a trace made the next one happen.
 */
export class Related {
    #parts;
    #causes;
    /** By trace: where each stamp's moments are. */
    #places;
    /** What they are made of: moments, links, causes and names. */
    #evidence;
    /** Made once they are needed; null where WebAssembly does not start. */
    #made;

    constructor(parts, { causes = true } = {}) {
        this.#parts = parts;
        this.#causes = causes;
        const moments = [];
        const names = [];
        const pairs = [];
        this.#places = parts.map(({ stamps }, part) => {
            const places = new Map();
            let before = null;
            for (const key of KEYS) {
                const stamp = stamps.get(key);
                if (!stamp?.counter) continue;
                const place = placed(stamp, moments);
                while (names.length < moments.length) names.push(this.#name(part, key));
                if (causes && before) pairs.push([before.first, place.last]);
                places.set(key, place);
                before = place;
            }
            return places;
        });
        const links = parts.flatMap((part) => part.links);
        this.#evidence = [moments, links, pairs, { names }];
    }

    /** What counters and links say; null where nobody can work it out, and readings alone count. */
    get #relations() {
        if (this.#made !== undefined) return this.#made;
        try {
            this.#made = new Relations(...this.#evidence);
        } catch (error) {
            if (!(error instanceof WasmUnavailable)) throw error;
            this.#made = null;
            if (!warned) {
                console.warn(`traces are compared by their clocks' times alone: ${error.message}`);
            }
            warned = true;
        }
        return this.#made;
    }

    /** How one stamp, `[part, key]`, stands to another; they may be absent. */
    between(a, b, evidence = 'all') {
        const [one, other] = [this.#stamp(a), this.#stamp(b)];
        if (!one || !other) return UNKNOWN;
        const [here, there] = [this.#place(a), this.#place(b)];
        if (!here || !there || !this.#relations) return this.#byReadings(a, b, one, other);
        if (here.first === here.last && there.first === there.last) {
            return this.#relations.between(here.shown, there.shown, { evidence });
        }
        return this.#coarsely(a, b, evidence);
    }

    /** Evidence that cannot all be true, and is used for nothing. */
    get contradictions() {
        if (this.#places.every((places) => places.size === 0)) return [];
        return this.#relations?.contradictions ?? this.#causesAgainstReadings();
    }

    /** The same by readings alone: what happened certainly before what made it happen. */
    #causesAgainstReadings() {
        if (!this.#causes) return [];
        return this.#places.flatMap((places, part) => {
            const keys = [...places.keys()];
            return keys.flatMap((later, count) =>
                keys.slice(0, count).flatMap((earlier) => {
                    const [a, b] = [earlier, later].map((key) => [part, key]);
                    const relation = this.between(a, b);
                    if (relation.order !== Order.CERTAINLY_AFTER) return [];
                    return [[...this.#messages(a, b), ...relation.restsOn]];
                }),
            );
        });
    }

    /** Where what a counter shows may be off by its resolution. */
    #coarsely(a, b, evidence) {
        const [here, there] = [this.#place(a), this.#place(b)];
        const between = (i, j) => this.#relations.between(i, j, { evidence });
        const shown = between(here.shown, there.shown);
        const least = between(here.last, there.first);
        const most = between(here.first, there.last);
        let [lowerMs, upperMs] = [least.lowerMs, most.upperMs];
        let relation = UNKNOWN;
        // However coarse it is, it does not run backwards.
        if (this.#stamp(a).counter === this.#stamp(b).counter) relation = shown;
        else if (least.order === Order.CERTAINLY_BEFORE) relation = least;
        else if (most.order === Order.CERTAINLY_AFTER) relation = most;
        // Messages are not slower for what the counters do not show.
        else if (evidence === 'all') relation = this.#caused(a, b, lowerMs, upperMs);
        if (relation.order === Order.CERTAINLY_BEFORE) lowerMs = Math.max(lowerMs ?? 0, 0);
        if (relation.order === Order.CERTAINLY_AFTER) upperMs = Math.min(upperMs ?? 0, 0);
        let { estMs } = shown;
        if (estMs !== null && lowerMs !== null && upperMs !== null) {
            estMs = Math.min(Math.max(estMs, lowerMs), upperMs);
        }
        const restsOn = relation.restsOn.length > 0 ? relation.restsOn : shown.restsOn;
        const { order, by } = relation;
        return { order, by, lowerMs, upperMs, estMs, estErrorMs: shown.estErrorMs, restsOn };
    }

    /** What causes say of two stamps, unless the clocks say that this cannot be. */
    #caused(a, b, lowerMs, upperMs) {
        const [there, back] = [this.#chain(a, b), this.#chain(b, a)];
        if (there.length > 0 && (upperMs ?? 0) >= 0) {
            return { ...UNKNOWN, order: Order.CERTAINLY_BEFORE, by: 'cause', restsOn: there };
        }
        if (back.length > 0 && (lowerMs ?? 0) <= 0) {
            return { ...UNKNOWN, order: Order.CERTAINLY_AFTER, by: 'cause', restsOn: back };
        }
        return UNKNOWN;
    }

    /** The messages that count by which one stamp made another happen. */
    #chain(a, b) {
        const chain = this.#messages(a, b);
        // What contradicts the clocks says nothing.
        const isVoid = (message) => this.contradictions.some((all) => all.includes(message));
        return chain.some(isVoid) ? [] : chain;
    }

    /** The messages by which one stamp made another happen, in the words of `Relations`. */
    #messages([part, key], [otherPart, otherKey]) {
        if (!this.#causes || part !== otherPart) return [];
        const between = KEYS.slice(KEYS.indexOf(key), KEYS.indexOf(otherKey) + 1);
        const names = between
            .filter((name) => this.#places[part].has(name))
            .map((name) => this.#name(part, name));
        return names.slice(1).map((name, place) => `message ${names[place]} -> ${name}`);
    }

    /** Where one of them has no counter, or counters cannot be compared here: the times alone. */
    #byReadings(a, b, one, other) {
        if (one.timeMs === null || other.timeMs === null) return UNKNOWN;
        // Of two doubles this near the difference is exact; of sums with errors it would not be.
        const apartMs = other.timeMs - one.timeMs;
        if (one.maxErrorMs === null || other.maxErrorMs === null) {
            return { ...UNKNOWN, estMs: apartMs };
        }
        const [entity, otherEntity] = [a, b].map(([part, key]) =>
            this.#parts[part].entities.get(key),
        );
        // Epochs of different counters have nothing to do with one another.
        const alike =
            entity !== undefined &&
            entity === otherEntity &&
            (!one.counter || !other.counter || one.counter === other.counter);
        const sameLine = alike && one.epoch !== null && one.epoch === other.epoch;
        const unsureMs = one.maxErrorMs + other.maxErrorMs;
        let order = Order.CANNOT_TELL;
        if (apartMs > (sameLine ? 0 : unsureMs)) order = Order.CERTAINLY_BEFORE;
        else if (-apartMs > (sameLine ? 0 : unsureMs)) order = Order.CERTAINLY_AFTER;
        return {
            order,
            by: order === Order.CANNOT_TELL ? null : 'clock',
            lowerMs: apartMs - unsureMs,
            upperMs: apartMs + unsureMs,
            estMs: apartMs,
            estErrorMs: together(one.estErrorMs, other.estErrorMs),
            restsOn: [sameLine ? 'own clock' : 'synchronised time'],
        };
    }

    #stamp([part, key]) {
        return this.#parts[part].stamps.get(key);
    }

    #place([part, key]) {
        return this.#places[part].get(key);
    }

    #name(part, key) {
        return this.#parts.length === 1 ? key : `${key} of trace ${part + 1}`;
    }
}

/** One standard deviation of a difference; null where one of the two is not known. */
function together(one, other) {
    return one === null || other === null ? null : Math.sqrt(one ** 2 + other ** 2);
}

/** Where a stamp's moments are: what its counter showed, and what it can have been. */
function placed({ counter, counterNs, counterResolutionNs, timeMs, maxErrorMs }, moments) {
    const shown = moments.length;
    moments.push({ counter, counterNs, ...readingOf(timeMs, maxErrorMs) });
    if (!counterResolutionNs) return { first: shown, shown, last: shown };
    const [value, coarse] = [BigInt(counterNs), BigInt(counterResolutionNs)];
    const earliest = value > coarse ? value - coarse : 0n;
    const latest = value + coarse < COUNTER_MAX_NS ? value + coarse : COUNTER_MAX_NS;
    moments.push({ counter, counterNs: earliest }, { counter, counterNs: latest });
    return { first: shown + 1, shown, last: shown + 2 };
}

function readingOf(timeMs, maxErrorMs) {
    if (timeMs === null || maxErrorMs === null || timeMs >= LIMIT_MS || maxErrorMs >= LIMIT_MS) {
        return {};
    }
    // Whole and fraction apart: a product of this size would be rounded to 256 ns.
    const whole = Math.trunc(timeMs);
    const timeNs = BigInt(whole) * 1_000_000n + BigInt(Math.round((timeMs - whole) * 1e6));
    return { timeNs, maxErrorNs: BigInt(Math.ceil(maxErrorMs * 1e6) + 1) };
}
