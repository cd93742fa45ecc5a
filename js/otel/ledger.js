// True time of moments of performance.now(), the same for ever: what is dated in one batch fits what
// is dated in the next, however the clock has corrected itself in between.

/** Where a line between neighbours stands for the one between them, milliseconds. */
const STRAIGHT_MS = 0.0005;
/** A knot stands at the end of no longer a line than this. */
const LONGEST_MS = 10_000;
const MOST_KNOTS = 4096;
/** How far before the first knot the clock's own line is followed: 1 s, 2 s, ... 68 min. */
const FIRST_BACK = 13;

/**
 * A line through what the clock said at some moments, once and for all: each knot has its moment
 * (`ms`) and its true time (`timeMs`). Times never go back with moments.
 *
 * It is of one epoch of the clock; the next one has another ledger.
 */
export class Ledger {
    #knots = [];

    constructor(epoch) {
        this.epoch = epoch;
    }

    /**
     * The true time of a moment that is not later than `nowMs`; `at(ms)` is what the clock says now.
     * Null where it says nothing.
     */
    timeMs(ms, nowMs, at) {
        const knots = this.#knots;
        if (knots.length === 0 && !this.#begin(nowMs, at)) return null;
        if (ms > knots[knots.length - 1].ms && !this.#add(nowMs, at)) return null;
        const after = Math.max(1, this.#after(ms));
        const from = knots[after - 1];
        const to = knots[after] ?? from;
        if (to === from) return from.timeMs + (ms - from.ms);
        const rate = (to.timeMs - from.timeMs) / (to.ms - from.ms);
        return from.timeMs + (ms - from.ms) * rate;
    }

    /** The first knot that is not before a moment; the last where all are. */
    #after(ms) {
        const knots = this.#knots;
        let [low, high] = [0, knots.length - 1];
        while (low < high) {
            const middle = (low + high) >> 1;
            if (knots[middle].ms < ms) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    #begin(nowMs, at) {
        const reading = at(nowMs);
        if (reading === null) return false;
        for (let power = FIRST_BACK - 1; power >= 0; power--) {
            const ms = nowMs - 1000 * 2 ** power;
            const then = ms < 0 ? null : at(ms);
            if (then !== null) this.#knots.push({ ms, timeMs: then.timeMs });
        }
        this.#knots.push({ ms: nowMs, timeMs: reading.timeMs });
        return true;
    }

    #add(nowMs, at) {
        const knots = this.#knots;
        const reading = at(nowMs);
        if (reading === null) return false;
        const last = knots[knots.length - 1];
        const next = { ms: nowMs, timeMs: Math.max(reading.timeMs, last.timeMs) };
        const before = knots[knots.length - 2];
        if (before !== undefined && next.ms - before.ms <= LONGEST_MS) {
            const rate = (next.timeMs - before.timeMs) / (next.ms - before.ms);
            const aside = before.timeMs + (last.ms - before.ms) * rate - last.timeMs;
            if (Math.abs(aside) < STRAIGHT_MS) knots.pop();
        }
        knots.push(next);
        if (knots.length > MOST_KNOTS) knots.splice(0, MOST_KNOTS / 8);
        return true;
    }
}
