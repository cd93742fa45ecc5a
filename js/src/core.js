// The clock of Rust: one WebAssembly instance, and names for what its buffers hold.

import { inflate } from './inflate.js';
import { base64, length } from 'virtual:wasm';

/** @typedef {{time: number, maxError: number, estError: number, epoch: number}} Answer */

const REJECTIONS_AT = 16;
const STATES = ['unsynchronised', 'synchronised', 'holdover', 'failed'];
const EVENTS = ['', 'synchronised', 'attempt', 'failed', 'epoch', 'restarted', 'rejected', 'other'];

let compiled;

function decoded() {
    const deflated = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return inflate(deflated, length);
}

/**
 * Gives an instance to `ready`, at once where the engine compiles at once, else later: some
 * compile no large module on a page's main thread. `failed` gets what forbids it.
 */
export function instantiate(ready, failed) {
    const bytes = compiled ? null : decoded();
    try {
        compiled ??= new WebAssembly.Module(bytes);
        ready(new Core(new WebAssembly.Instance(compiled)));
    } catch (error) {
        if (!(error instanceof RangeError)) return failed(error);
        WebAssembly.instantiate(bytes ?? decoded()).then(({ module, instance }) => {
            compiled = module;
            ready(new Core(instance));
        }, failed);
    }
}

/** The exports of an instance; what goes through its buffers as objects. */
export class Core {
    constructor(instance) {
        const wasm = instance.exports;
        this.wasm = wasm;
        this.numbers = new Float64Array(wasm.memory.buffer, wasm.numbers(), 32);
        this.bytes = new Uint8Array(wasm.memory.buffer, wasm.bytes(), 1024);
    }

    #answer(told) {
        if (!told) return null;
        const [timeMs, maxErrorMs, estErrorMs, epoch] = this.numbers;
        return { timeMs, maxErrorMs, estErrorMs, epoch };
    }

    read(now, wall) {
        return this.#answer(this.wasm.read(now, wall));
    }

    at(moment) {
        return this.#answer(this.wasm.at(moment));
    }

    /** The cookie of the request to send now, or null. */
    transmit(now) {
        const entropy = crypto.getRandomValues(new BigUint64Array(1))[0];
        return this.wasm.transmit(now, entropy) ? entropy : null;
    }

    /** The NTP packet of the request just handed out. */
    packet() {
        return this.bytes.slice(0, 48);
    }

    datagram(bytes, t4, now) {
        // What is too long to be ours is malformed, cut off or not.
        const datagram = bytes.subarray(0, this.bytes.length);
        this.bytes.set(datagram);
        return this.wasm.datagram(datagram.length, t4, now);
    }

    relayed(cookie, reply, t4, now) {
        this.numbers.set(reply);
        return this.wasm.relayed(cookie, t4, now);
    }

    /** The oldest event not yet taken, or null. */
    event() {
        const kind = EVENTS[this.wasm.event()];
        return kind && { kind, reason: this.#text(this.numbers[0]), value: this.numbers[1] };
    }

    #text(length) {
        return String.fromCharCode(...this.bytes.subarray(0, length));
    }

    status(now) {
        this.wasm.status(now);
        const n = this.numbers;
        const orNull = (number) => (Number.isNaN(number) ? null : number);
        const counts = n.slice(REJECTIONS_AT);
        const rejections = {};
        for (let i = 0, length; (length = this.wasm.rejection_name(i)) > 0; i++) {
            if (counts[i] > 0) rejections[this.#text(length)] = counts[i];
        }
        return {
            state: STATES[n[0]],
            epoch: n[1],
            lastSyncLocal: orNull(n[2]),
            lastSync: orNull(n[3]),
            delayMs: orNull(n[4]),
            driftPpm: orNull(n[5]),
            attempts: n[6],
            nextSync: n[7],
            inRound: n[8] === 1,
            stratum: orNull(n[9]),
            leap: orNull(n[10]),
            requests: n[11],
            believed: n[12],
            rounds: n[13],
            rejections,
        };
    }
}
