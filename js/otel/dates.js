// Dates the SDK's times: samples both clocks, and asks the history, the ledger and the clock.

import { History, toNs } from './history.js';
import { Ledger } from './ledger.js';

/** A sample stands for the present this long. */
const DUE_MS = 50;
const TICK_MS = 1000;
/** `Date.now()` is rounded down to this. */
const RESOLUTION_NS = 1_000_000n;
/**
 * The first reply waits while a program starts, which blocks its event loop, so the first reading can
 * be off by half a second, and what is dated by it stays so. Nothing is dated before an error is
 * this small, or this long after the first reading.
 */
const SETTLED_MS = 50;
const UNSETTLED_MS = 1000;
/** Epochs whose ledgers are kept. */
const MOST_LEDGERS = 16;
/** Sleeps and steps across which times keep their order. */
const MOST_SEAMS = 64;

const toMs = (ns) => Number(ns / 1_000_000n) + Number(ns % 1_000_000n) / 1e6;
const inNs = ({ timeMs, maxErrorMs, estErrorMs, epoch }) => ({
    timeNs: toNs(timeMs),
    // Upwards, for an error must not become smaller; a double of milliseconds is off by 123 ns.
    maxErrorNs: toNs(maxErrorMs) + 250n,
    estErrorNs: toNs(estErrorMs) + 1n,
    epoch,
});

/** A reading of somewhere between two: its error reaches what is possible by either. */
export function between(first, last) {
    if (first === null || last === null) return null;
    const low = Math.min(first.timeMs - first.maxErrorMs, last.timeMs - last.maxErrorMs);
    const high = Math.max(first.timeMs + first.maxErrorMs, last.timeMs + last.maxErrorMs);
    const timeMs = (first.timeMs + last.timeMs) / 2;
    return {
        timeMs,
        maxErrorMs: Math.max(high - timeMs, timeMs - low),
        estErrorMs:
            Math.max(first.estErrorMs, last.estErrorMs) + Math.abs(last.timeMs - first.timeMs) / 4,
        epoch: Math.max(first.epoch, last.epoch),
    };
}

/** Where the history may not be compiled: nothing is dated, and nothing waits. */
export class NoDates {
    synchronised = true;
    awaited = false;
    server = '';

    whenSynchronised() {}

    sampleIfDue() {}

    sample() {}

    moment() {
        return null;
    }

    somewhere() {
        return null;
    }

    shown() {
        return null;
    }

    counterAt() {
        return null;
    }
}

/** All that dates times by one clock. */
export class Dates {
    #clock;
    #history = new History();
    #ledgers = new Map();
    /** Counters' names by their numbers in the history, from 1 on. */
    #counters = [];
    #sampledMs = -Infinity;
    #synchronised = false;
    #firstReadMs;
    /** The counter when there was a reading last. */
    #readCounter = null;
    #awaited = false;
    #listeners = new Set();
    /** Between which looks there was a sleep or a step: { fromMs, toMs, floorMs }. */
    #seams = [];
    #timer;

    constructor(clock) {
        this.#clock = clock;
        clock.addEventListener('sync', () => this.sample());
        this.sample();
        this.#timer = setInterval(() => this.sample(), TICK_MS);
        this.#timer.unref?.();
    }

    /** No more samples by itself. */
    close() {
        clearInterval(this.#timer);
    }

    /** Whether the clock has been synchronised at any time, and its first readings have settled. */
    get synchronised() {
        if (!this.#synchronised && this.#clock.read() !== null) this.sample();
        return this.#synchronised;
    }

    /**
     * Whether there was a sleep, or a step that looks like one, and the clock has not been
     * synchronised since: what is dated now would soon be dated better.
     */
    get awaited() {
        if (this.#awaited || (this.#synchronised && this.#clock.read() === null)) this.sample();
        return this.#awaited;
    }

    /** Calls back whenever there are readings, for the first time or again. */
    whenSynchronised(callback) {
        if (this.#synchronised) callback();
        this.#listeners.add(callback);
    }

    get server() {
        return this.#clock.getStatus().server;
    }

    get counter() {
        return this.#clock.stamp().counter;
    }

    /** Looks at both clocks, where the last look is too long ago to stand for this moment. */
    sampleIfDue(nowMs) {
        const age = nowMs - this.#sampledMs;
        if (age >= DUE_MS || age < 0) this.sample();
    }

    sample() {
        // In a sleep between the looks the counter loses time, and gets another name.
        for (let tries = 0; tries < 3; tries++) {
            const { counter, resolutionNs } = this.#clock.stamp();
            const before = performance.now();
            const shown = Date.now();
            const widthMs = performance.now() - before;
            const reading = this.#clock.at(before);
            if (this.#clock.stamp().counter !== counter) continue;
            if (this.#counters.length > 0 && this.#counters.at(-1) !== counter) {
                this.#seams.push({ fromMs: this.#sampledMs, toMs: before });
                if (this.#seams.length > MOST_SEAMS) this.#seams.shift();
            }
            this.#history.sample({
                counterNs: toNs(before),
                widthNs: toNs(widthMs) + BigInt(resolutionNs),
                systemNs: BigInt(Math.floor(shown)) * 1_000_000n,
                resolutionNs: RESOLUTION_NS,
                counter: this.#numberOf(counter),
                reading: reading && inNs(reading),
            });
            this.#sampledMs = before;
            if (reading !== null && this.#isSettled(reading, before)) {
                // A knot for the ledger, while the error is small.
                this.#said(before);
                this.#readCounter = counter;
                this.#isSynchronised();
            } else if (this.#synchronised && counter !== this.#readCounter) this.#awaited = true;
            return;
        }
    }

    /** True time of a moment of performance.now(), or null. */
    moment(ms) {
        const reading = this.#moment(ms);
        const seam = this.#seams.filter(({ fromMs }) => fromMs < ms).pop();
        return reading === null || seam === undefined ? reading : this.#inOrder(ms, reading, seam);
    }

    #moment(ms) {
        const reading = this.#said(ms);
        if (reading !== null) return reading;
        // From before a sleep, or readings have run out.
        const counterNs = toNs(ms);
        const traced = this.#history.moment(counterNs);
        return traced && this.#dated(traced);
    }

    /**
     * After a sleep or a step the clock has been synchronised again, and may say an earlier time than
     * before. What is dated then goes on at half the pace until that is made up for, and states the
     * rest as its error: a child stays within its parent.
     */
    #inOrder(ms, reading, seam) {
        seam.floorMs ??= this.moment(seam.fromMs)?.timeMs;
        if (seam.floorMs === undefined) return reading;
        const least = (at) => seam.floorMs + (at - seam.fromMs) / 2;
        let timeMs = Math.max(reading.timeMs, least(ms));
        if (ms < seam.toMs) {
            const after = this.#moment(seam.toMs);
            const most = Math.max(after?.timeMs ?? Infinity, least(seam.toMs));
            timeMs = Math.min(timeMs, most);
        }
        const maxErrorMs = reading.maxErrorMs + Math.abs(timeMs - reading.timeMs);
        return { ...reading, timeMs, maxErrorMs };
    }

    /** The same of a moment somewhere from one to another. */
    somewhere(fromMs, toMs) {
        const first = this.moment(fromMs);
        return toMs === fromMs ? first : between(first, this.moment(toMs));
    }

    /**
     * True time of what Date.now() showed at a moment within a window of performance.now(); null
     * where it did not show that, or where nobody knows what time it was.
     */
    shown(systemNs, { fromMs = -Infinity, toMs: lastMs = Infinity } = {}) {
        const window = {};
        if (fromMs > -Infinity) window.notBeforeNs = toNs(fromMs);
        if (lastMs < Infinity) window.notAfterNs = toNs(lastMs);
        const traced = this.#history.trace(systemNs, RESOLUTION_NS, window);
        return traced && this.#dated(traced);
    }

    /** The name of the counter at a moment; null where that is not certain. */
    counterAt(ms) {
        const traced = this.#history.moment(toNs(ms));
        if (traced === null || traced.earliest.counter !== traced.latest.counter) return null;
        return this.#counters[Number(traced.earliest.counter) - 1] ?? null;
    }

    /** What the clock says, at the place where the ledger has it. */
    #said(ms) {
        const reading = this.#clock.at(ms);
        if (reading === null) return null;
        const { epoch } = reading;
        let ledger = this.#ledgers.get(epoch);
        if (ledger === undefined) {
            ledger = new Ledger();
            this.#ledgers.set(epoch, ledger);
            if (this.#ledgers.size > MOST_LEDGERS) {
                this.#ledgers.delete(this.#ledgers.keys().next().value);
            }
        }
        return ledger.reading(ms, Math.max(ms, performance.now()), (moment) => {
            const said = moment === ms ? reading : this.#clock.at(moment);
            return said?.epoch === epoch ? said : null;
        });
    }

    #dated(traced) {
        const dated = this.#history.date(traced, (counterNs) => {
            const said = this.#said(toMs(counterNs));
            return said && inNs(said);
        });
        if (dated === null) return null;
        return {
            timeMs: toMs(dated.timeNs),
            maxErrorMs: toMs(dated.maxErrorNs) + 0.000_25,
            estErrorMs: toMs(dated.estErrorNs),
            epoch: dated.epoch,
        };
    }

    #numberOf(counter) {
        let place = this.#counters.lastIndexOf(counter);
        if (place < 0) place = this.#counters.push(counter) - 1;
        return BigInt(place + 1);
    }

    #isSettled({ maxErrorMs }, nowMs) {
        this.#firstReadMs ??= nowMs;
        const settled = maxErrorMs <= SETTLED_MS || nowMs - this.#firstReadMs >= UNSETTLED_MS;
        return this.#synchronised || settled;
    }

    #isSynchronised() {
        if (this.#synchronised && !this.#awaited) return;
        this.#synchronised = true;
        this.#awaited = false;
        for (const callback of this.#listeners) callback();
    }
}
