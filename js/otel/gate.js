// The gate: what a program exports before the clock's first synchronisation waits here for it.

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

/** As many as the SDK's own batches have; an exporter that is given more may refuse them. */
const BATCH = 512;
/** So many times the limit may be on its way, for whoever exports without waiting for the answer. */
const HELD_UP = 4;
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
 * An exporter around another one.
 *
 * `prepare(items)` gives the items as they leave: re-dated, or marked where that is not possible.
 * `synchronised()` says whether the clock has ever been synchronised, and `awaited()` whether it has
 * lost its readings by a sleep or a step since, and asks its server again; whoever hears that there
 * are readings calls `open()`.
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
    /** Those that wait: { item, bytes }, oldest first. */
    #held = [];
    #bytes = 0;
    /** Those that leave as soon as those before them have: { items, done }. */
    #leaving = [];
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
        return this.#held.length + this.#leaving.length;
    }

    export(items, done) {
        if (this.#open && !this.#tired && this.#awaited()) this.#open = false;
        else if (!this.#open && this.#synchronised() && !this.#awaited()) this.open();
        if (this.#open) {
            if (this.#pumping === null) this.#inner.export(this.#prepare(items), done);
            else this.#behind(items, done);
            return;
        }
        for (const item of items) this.#hold(item);
        // A slow exporter holds up the SDK as it would without a gate, so that the SDK's own queue fills.
        if (this.#leaving.length < this.#limits.items) done({ code: 0 });
        else this.#heldUp.push(done);
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
        this.#leave(this.#held.length);
        for (const opener of this.#openers) opener();
    }

    async forceFlush() {
        if (!this.#open && this.#synchronised() && !this.#awaited()) this.open();
        if (!this.#open && this.#held.length > 0) {
            const left = Math.max(0, this.#deadlineMs - performance.now());
            await this.#opened(Math.min(FLUSH_WAIT_MS, left));
            this.#leave(this.#held.length);
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

    /** What waits leaves now: the page is about to be hidden, and may never run again. */
    leaveNow() {
        this.#leave(this.#held.length);
    }

    #hold(item) {
        if (this.#held.length === 0) {
            clearTimeout(this.#timer);
            this.#deadlineMs = performance.now() + this.#limits.waitMs;
            this.#timer = later(this.#limits.waitMs, () => this.#tire());
        }
        const bytes = this.#size(item);
        this.#held.push({ item, bytes });
        this.#bytes += bytes;
        while (this.#held.length > this.#limits.items || this.#bytes > this.#limits.bytes) {
            this.#leave(1);
        }
    }

    /** The oldest of those that wait. */
    #leave(count) {
        for (const { item, bytes } of this.#held.splice(0, count)) {
            this.#bytes -= bytes;
            this.#behind([item], null);
        }
        this.#pump();
    }

    /** Behind those that leave, unless an exporter that is slow has let too many gather. */
    #behind(items, done) {
        const most = HELD_UP * this.#limits.items + BATCH;
        if (this.#leaving.length < most) this.#leaving.push({ items, done });
        else this.#exported(items).then((result) => this.#answer(result, done));
    }

    #pump() {
        if (this.#pumping !== null || this.#leaving.length === 0) return;
        this.#pumping = this.#pumpAll();
    }

    async #pumpAll() {
        while (this.#leaving.length > 0) {
            const { items, done } = this.#batch();
            this.#answer(await this.#exported(items), done);
            if (this.#leaving.length < this.#limits.items) {
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

    /** Held items join into batches; one that somebody waits for stays as the SDK made it. */
    #batch() {
        if (this.#leaving[0].done !== null) return this.#leaving.shift();
        let count = 0;
        while (count < BATCH && this.#leaving[count]?.done === null) count += 1;
        const items = this.#leaving.splice(0, count).flatMap((entry) => entry.items);
        return { items, done: null };
    }

    #exported(items) {
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
                this.#inner.export(this.#prepare(items), finish);
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
            // Not unref'ed: whoever flushes waits for the answer.
            const timer = setTimeout(finish, milliseconds);
            this.#openers.add(finish);
        });
    }
}
