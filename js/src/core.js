// The clock of Rust: one WebAssembly instance, and names for what its buffers hold.

import { decode } from './base85.js';
import { inflate } from './inflate.js';
import {
    ABSENCES,
    CODES,
    EPOCHS,
    EVENT,
    EVENTS,
    READING,
    REJECTIONS,
    REJECTIONS_AT,
    REPLY,
    STATES,
    STATUS,
    TEXTS,
    WORD,
} from 'virtual:layout';
import { deflated, length } from 'virtual:wasm';

const [TIME, MAX_ERROR, EST_ERROR, EPOCH] = ['timeMs', 'maxErrorMs', 'estErrorMs', 'epoch'].map(
    (name) => READING.indexOf(name),
);

let compiled;

const decoded = () => inflate(decode(deflated), length);

/**
 * Gives an instance to `ready`, at once where the engine compiles at once, else later: some
 * compile no large module on a page's main thread. `failed` gets what forbids it.
 */
export function instantiate(ready, failed) {
    const bytes = compiled ? null : decoded();
    let instance;
    try {
        compiled ??= new WebAssembly.Module(bytes);
        instance = new WebAssembly.Instance(compiled);
    } catch (error) {
        if (!(error instanceof RangeError)) return failed(error);
        WebAssembly.instantiate(bytes ?? decoded()).then(({ module, instance }) => {
            compiled = module;
            ready(new Core(instance));
        }, failed);
        return;
    }
    ready(new Core(instance));
}

/** The exports of an instance; what goes through its buffers as objects. */
export class Core {
    constructor(instance) {
        const wasm = instance.exports;
        this.wasm = wasm;
        this.numbers = new Float64Array(wasm.memory.buffer, wasm.numbers(), 32);
        this.bytes = new Uint8Array(wasm.memory.buffer, wasm.bytes(), 1024);
    }

    #named(names) {
        return Object.fromEntries(names.map((name, place) => [name, this.numbers[place]]));
    }

    #reading() {
        const n = this.numbers;
        return {
            timeMs: n[TIME],
            maxErrorMs: n[MAX_ERROR],
            estErrorMs: n[EST_ERROR],
            epoch: n[EPOCH],
        };
    }

    read(now, wall) {
        return this.wasm.read(now, wall) ? this.#reading() : null;
    }

    at(moment) {
        return this.wasm.at(moment) ? this.#reading() : null;
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
        this.numbers.set(REPLY.map((name) => reply[name]));
        return this.wasm.relayed(cookie, t4, now);
    }

    /** The oldest event not yet taken, or null. */
    event() {
        const kind = EVENTS[this.wasm.event()];
        if (!kind) return null;
        const { text, wordLength, code, value } = this.#named(EVENT);
        const word = String.fromCharCode(...this.bytes.subarray(0, wordLength));
        return {
            kind,
            // A function, for `$` in a server's word would mean something.
            text: TEXTS[text].replace(WORD, () => word),
            value,
            code: (kind === 'epoch' ? EPOCHS : CODES)[code],
        };
    }

    status(now) {
        this.wasm.status(now);
        const known = this.#named(STATUS);
        for (const name of STATUS) if (Number.isNaN(known[name])) known[name] = null;
        const counts = REJECTIONS.map((name, place) => [name, this.numbers[REJECTIONS_AT + place]]);
        return {
            ...known,
            state: STATES[known.state],
            absence: ABSENCES[known.absence],
            rejections: Object.fromEntries(counts.filter(([, count]) => count > 0)),
        };
    }
}
