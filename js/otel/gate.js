// The gate: what a program exports before the clock's first synchronisation waits here for it.

import { contextNow } from './globals.js';

/** What waits at most, of one exporter. */
export const LIMITS = Object.freeze({
    /** Spans, log records or metric batches. */
    items: 2048,
    /** Estimated. */
    bytes: 4 * 1024 * 1024,
    /** From when the first item was held. */
    waitMs: 10_000,
    /** How long held items wait for an exporter's answer: as the SDK's batch processors do. */
    exportMs: 30_000,
});

/** A program that exports without waiting may have this many times the limits on their way. */
const HELD_UP = 4;
/** What a page sends at once that is left; an exporter of OTLP refuses more than 30 by default. */
const AT_ONCE = 16;
/** A flush's caller gives up after 10 s by habit; a second is left for the export itself. */
const FLUSH_WAIT_MS = 9_000;
/** ExportResultCode.FAILED, by its value so that this needs no package of OpenTelemetry. */
const FAILED = 1;

/** Keeps no program alive. */
function later(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    timer.unref?.();
    return timer;
}

/**
 * Batches in their order, as the SDK made them, for an exporter may refuse larger ones:
 * { items, sizes, run, done }, where `run` calls in the context of who exported.
 */
class Queue {
    #batches = [];
    items = 0;
    bytes = 0;

    get isEmpty() {
        return this.#batches.length === 0;
    }

    push(batch) {
        this.#batches.push(batch);
        this.#count(batch, 1);
    }

    shift() {
        const batch = this.#batches.shift();
        this.#count(batch, -1);
        return batch;
    }

    /** Takes the oldest items of the oldest batch, and no more than `isTooMuch()` asks for. */
    shiftWhile(isTooMuch) {
        const [{ items, sizes, ...rest }] = this.#batches;
        let count = 0;
        while (count < items.length && isTooMuch()) {
            this.items -= 1;
            this.bytes -= sizes[count];
            count += 1;
        }
        if (count === items.length) this.#batches.shift();
        else this.#batches[0] = { items: items.slice(count), sizes: sizes.slice(count), ...rest };
        return { items: items.slice(0, count), sizes: sizes.slice(0, count), ...rest };
    }

    exceeds({ items, bytes }, times = 1) {
        return this.items > times * items || this.bytes > times * bytes;
    }

    #count({ items, sizes }, sign) {
        this.items += sign * items.length;
        for (const size of sizes) this.bytes += sign * size;
    }
}

/**
 * An exporter around another one.
 *
 * `prepare(items)` gives the items as they leave: re-dated, or marked where that is not possible.
 * `synchronised()` says whether the clock has ever been synchronised, and `awaited()` whether it has
 * lost its readings by a sleep or a step since, and asks its server again; a caller that hears that
 * there are readings calls `open()`.
 */
export class Gate {
    #inner;
    #prepare;
    #synchronised;
    #awaited;
    #size;
    #limits;
    #failed;
    #open = false;
    /** The time was up before there were readings again, or there is no more to wait for. */
    #tired = false;
    #timer;
    #deadlineMs = Infinity;
    /** Those that wait. */
    #held = new Queue();
    /** Those that leave as soon as those before them have. */
    #leaving = new Queue();
    #pumping = null;
    /** Who waits for room. */
    #heldUp = [];
    #openers = new Set();

    /** `failed(error)` hears of held items that the inner exporter has not taken. */
    constructor(
        inner,
        { prepare, synchronised, awaited = () => false, size, limits = {}, failed = () => {} },
    ) {
        this.#inner = inner;
        this.#prepare = prepare;
        this.#synchronised = synchronised;
        this.#awaited = awaited;
        this.#size = size;
        this.#limits = { ...LIMITS, ...limits };
        this.#failed = failed;
    }

    /** How many items wait or are on their way to the inner exporter behind others. */
    get waiting() {
        return this.#held.items + this.#leaving.items;
    }

    export(items, done) {
        if (this.#open && !this.#tired && this.#awaited()) this.#open = false;
        else if (!this.#open && this.#synchronised() && !this.#awaited()) this.open();
        if (this.#open) {
            if (this.#pumping === null) this.#inner.export(this.#prepare(items), done);
            else this.#behind(this.#batch(items, done));
            return;
        }
        this.#hold(this.#batch(items, null));
        // A slow exporter holds up the SDK as it would without a gate, so that the SDK's own queue
        // fills.
        if (this.#isFree()) done({ code: 0 });
        else this.#heldUp.push(done);
    }

    #batch(items, done) {
        return { items, sizes: items.map(this.#size), run: contextNow(), done };
    }

    /** Whether there is room behind the exporter. */
    #isFree() {
        const { items, bytes } = this.#limits;
        return (
            this.#leaving.isEmpty || (this.#leaving.items < items && this.#leaving.bytes < bytes)
        );
    }

    /** From now on nothing waits; what did leaves first. */
    open() {
        this.#tired = false;
        this.#release();
    }

    #release() {
        if (this.#open) return;
        this.#open = true;
        clearTimeout(this.#timer);
        this.leaveNow();
        for (const opener of this.#openers) opener();
    }

    async forceFlush() {
        if (!this.#open && this.#synchronised() && !this.#awaited()) this.open();
        if (!this.#open && !this.#held.isEmpty) {
            const left = Math.max(0, this.#deadlineMs - performance.now());
            await this.#opened(Math.min(FLUSH_WAIT_MS, left));
            this.leaveNow();
        }
        await this.#pumping;
        await this.#inner.forceFlush?.();
    }

    async shutdown() {
        this.#tire();
        await this.#pumping;
        await this.#inner.shutdown();
    }

    /** Nothing waits any more, until there are readings. */
    #tire() {
        this.#tired = true;
        this.#release();
    }

    /** The page is about to be hidden, and may never run again to hear an answer. */
    leaveAtOnce() {
        for (let count = 0; count < AT_ONCE && !this.#held.isEmpty; count += 1) {
            this.#beside(this.#held.shift());
        }
        this.leaveNow();
    }

    /** What waits leaves now. */
    leaveNow() {
        while (!this.#held.isEmpty) this.#behind(this.#held.shift());
        this.#pump();
    }

    #hold(batch) {
        if (this.#held.isEmpty) {
            clearTimeout(this.#timer);
            this.#deadlineMs = performance.now() + this.#limits.waitMs;
            this.#timer = later(this.#limits.waitMs, () => this.#tire());
        }
        this.#held.push(batch);
        const isTooMuch = () => this.#held.exceeds(this.#limits);
        while (isTooMuch()) this.#behind(this.#held.shiftWhile(isTooMuch));
        this.#pump();
    }

    /** Behind those that leave, unless an exporter that is slow has let too many gather. */
    #behind(batch) {
        if (!this.#leaving.exceeds(this.#limits, HELD_UP)) this.#leaving.push(batch);
        else this.#beside(batch);
    }

    #beside(batch) {
        this.#exported(batch).then((result) => this.#answer(result, batch.done));
    }

    #pump() {
        if (this.#pumping !== null || this.#leaving.isEmpty) return;
        this.#pumping = this.#pumpAll();
    }

    async #pumpAll() {
        while (!this.#leaving.isEmpty) {
            const batch = this.#leaving.shift();
            this.#answer(await this.#exported(batch), batch.done);
            if (this.#isFree()) {
                for (const heldUp of this.#heldUp.splice(0)) this.#answer({ code: 0 }, heldUp);
            }
        }
        // Not in a later microtask: what came in between would lie here for ever.
        this.#pumping = null;
    }

    #answer(result, done) {
        try {
            if (done !== null) done(result);
            else if (result.code === FAILED) this.#failed(result.error);
        } catch (error) {
            // The program's own callback; the items behind must leave all the same.
            queueMicrotask(() => {
                throw error;
            });
        }
    }

    #exported({ items, run }) {
        return new Promise((resolve) => {
            const { exportMs } = this.#limits;
            const timer = later(exportMs, () => {
                const error = new Error(`the exporter did not answer in ${exportMs} ms`);
                resolve({ code: FAILED, error });
            });
            const finish = (result) => {
                clearTimeout(timer);
                resolve(result);
            };
            try {
                run(() => this.#inner.export(this.#prepare(items), finish));
            } catch (error) {
                finish({ code: FAILED, error });
            }
        });
    }

    #opened(milliseconds) {
        return new Promise((resolve) => {
            const finish = () => {
                clearTimeout(timer);
                this.#openers.delete(finish);
                resolve();
            };
            // Not unref'ed: code that flushes waits for the answer.
            const timer = setTimeout(finish, milliseconds);
            this.#openers.add(finish);
        });
    }
}
