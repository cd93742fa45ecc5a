// True time of moments of performance.now(), the same for ever: what is dated in one batch fits what
// is dated in the next, however the clock has corrected itself in between.

/** Where a line between neighbours stands for the one between them, milliseconds. */
const STRAIGHT_MS = 0.0005;
/** A knot stands at the end of no longer a line than this. */
const LONGEST_MS = 10_000;
const MOST_KNOTS = 4096;
/** How far the counter's rate may be from that of true time: steered by its system, and by itself. */
const COUNTER_RATE = 0.0006;
/** How far before the first knot the clock's own line is followed: 1 s, 2 s, ... 68 min. */
const FIRST_BACK = 13;

/**
 * A line through what the clock said at some moments, once and for all: each knot has its moment
 * (`ms`), its true time (`timeMs`), and the errors that the clock stated then. Times never go back
 * with moments.
 *
 * It is of one epoch of the clock; the next one has another ledger.
 */
export class Ledger {
    #knots = [];

    /**
     * What is said of a moment that is not later than `nowMs`; `at(ms)` is what the clock says now.
     * Null where it says nothing. The error is the one by what it says now, or said then.
     */
    reading(ms, nowMs, at) {
        const said = at(ms);
        const knots = this.#knots;
        if (said === null) return null;
        if (knots.length === 0) this.#begin(nowMs, at);
        else if (ms > knots[knots.length - 1].ms) this.#add(nowMs, at);
        if (knots.length < 2) return said;
        const after = Math.max(1, this.#after(ms));
        const [from, to] = [knots[after - 1], knots[after]];
        // Before the first knot there is no line.
        const rate = ms < from.ms ? 1 : (to.timeMs - from.timeMs) / (to.ms - from.ms);
        const timeMs = from.timeMs + (ms - from.ms) * rate;
        const knot = Math.abs(ms - from.ms) < Math.abs(ms - to.ms) ? from : to;
        const awayMs = ms - knot.ms;
        const since = Math.abs(timeMs - knot.timeMs - awayMs) + COUNTER_RATE * Math.abs(awayMs);
        const apart = Math.abs(timeMs - said.timeMs);
        return {
            timeMs,
            maxErrorMs: Math.min(said.maxErrorMs + apart, knot.maxErrorMs + since),
            estErrorMs: Math.min(said.estErrorMs + apart, knot.estErrorMs + since),
            epoch: said.epoch,
        };
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
        for (let power = FIRST_BACK - 1; power >= 0; power--) {
            this.#put(Math.max(0, nowMs - 1000 * 2 ** power), at);
        }
        this.#put(nowMs, at);
    }

    #put(ms, at) {
        const knots = this.#knots;
        const reading = knots.length > 0 && ms <= knots[knots.length - 1].ms ? null : at(ms);
        if (reading !== null) knots.push({ ms, ...reading });
    }

    #add(nowMs, at) {
        const knots = this.#knots;
        const reading = at(nowMs);
        if (reading === null) return;
        const last = knots[knots.length - 1];
        const back = Math.max(0, last.timeMs - reading.timeMs);
        const next = { ms: nowMs, ...reading, timeMs: reading.timeMs + back };
        next.maxErrorMs += back;
        const before = knots[knots.length - 2];
        if (before !== undefined && next.ms - before.ms <= LONGEST_MS) {
            const rate = (next.timeMs - before.timeMs) / (next.ms - before.ms);
            const aside = before.timeMs + (last.ms - before.ms) * rate - last.timeMs;
            if (Math.abs(aside) < STRAIGHT_MS) knots.pop();
        }
        knots.push(next);
        if (knots.length > MOST_KNOTS) knots.splice(0, MOST_KNOTS / 8);
    }
}
