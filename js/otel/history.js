// The history of Date.now() beside performance.now(): which moments a time of the SDK can be of,
// and what true time they were. Rust has it; here are its names.

import { decode } from '../src/base85.js';
import { inflate } from '../src/inflate.js';
import { deflated, length } from 'virtual:wasm';

/** Places in the wasm's table: crates/ntp-clock-history-wasm/src/desk.rs. */
const EARLIEST = 0;
const LATEST = 2;
const FIRST = 4;
const SECOND = 9;
const DATED = 5;
const NUMBERS = 14;

const LEAST_NS = -(2n ** 63n);
const MOST_NS = 2n ** 63n - 1n;

let compiled;

/** Nanoseconds of a Unix time or an error in milliseconds, as fine as its double is. */
export const toNs = (ms) => {
    const whole = Math.floor(ms);
    return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6));
};

/**
 * One history. Times and counters are BigInts of nanoseconds; a reading is
 * `{ timeNs, maxErrorNs, estErrorNs, epoch }`, and a traced time `{ earliest, latest, ambiguous }`,
 * each end with its `counterNs` and `counter`, the number of the counter.
 */
export class History {
    #wasm;
    #table;

    constructor() {
        compiled ??= new WebAssembly.Module(inflate(decode(deflated), length));
        this.#wasm = new WebAssembly.Instance(compiled).exports;
    }

    /** Whether the last sample is too old to stand for this moment of performance.now(). */
    isDue(counterMs) {
        return this.#wasm.is_due(counterMs * 1e6) !== 0;
    }

    /** How many samples there are. */
    get size() {
        return this.#wasm.samples();
    }

    /** How much memory it takes. */
    get bytes() {
        return this.#wasm.memory.buffer.byteLength;
    }

    /**
     * The SDK's clock showed `systemNs` at a moment from `counterNs` to `counterNs + widthNs` of
     * the counter with this number; the synchronised clock said `reading` at `counterNs`, or null.
     */
    sample({ counterNs, widthNs, systemNs, resolutionNs, counter, reading = null }) {
        this.#put(FIRST, reading);
        this.#wasm.sample(counterNs, widthNs, systemNs, resolutionNs, counter);
    }

    /** The moments at which the SDK's clock can have shown this, or null. */
    trace(systemNs, resolutionNs, { notBeforeNs = LEAST_NS, notAfterNs = MOST_NS } = {}) {
        return this.#traced(this.#wasm.trace(systemNs, resolutionNs, notBeforeNs, notAfterNs));
    }

    /** The moment when the counter read this, or null where the history does not reach it. */
    moment(counterNs) {
        return this.#traced(this.#wasm.moment(counterNs));
    }

    /**
     * True time of what was traced, or null. `at(counterNs)` is what the synchronised clock says of
     * a moment, or null; then readings that came with samples are used.
     */
    date({ earliest, latest }, at) {
        const first = at(earliest.counterNs);
        const last = latest.counterNs === earliest.counterNs ? first : at(latest.counterNs);
        this.#put(FIRST, first);
        this.#put(SECOND, last);
        const table = this.#numbers;
        table.set(
            [earliest.counterNs, earliest.counter, latest.counterNs, latest.counter],
            EARLIEST,
        );
        if (!this.#wasm.date()) return null;
        const [timeNs, maxErrorNs, estErrorNs, epoch] = table.subarray(DATED, DATED + 4);
        return { timeNs, maxErrorNs, estErrorNs, epoch: Number(epoch) };
    }

    #traced(found) {
        if (found === 0) return null;
        const end = (place) => {
            const [counterNs, counter] = this.#numbers.subarray(place, place + 2);
            return { counterNs, counter };
        };
        return { earliest: end(EARLIEST), latest: end(LATEST), ambiguous: found === 2 };
    }

    #put(place, reading) {
        const table = this.#numbers;
        if (reading === null) {
            table[place] = 0n;
            return;
        }
        const { timeNs, maxErrorNs, estErrorNs, epoch } = reading;
        table.set([1n, timeNs, maxErrorNs, estErrorNs, BigInt(epoch)], place);
    }

    /** The memory grows with the samples, which leaves an older view without its bytes. */
    get #numbers() {
        if (!this.#table?.length) {
            const { memory, numbers } = this.#wasm;
            this.#table = new BigInt64Array(memory.buffer, numbers(), NUMBERS);
        }
        return this.#table;
    }
}
