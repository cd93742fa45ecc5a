// Questions to the wasm of order, and its answers: values one after another in bytes.

import { decode } from '../src/base85.js';
import { cannotStart } from '../src/failure.js';
import { inflate } from '../src/inflate.js';
import { deflated, length } from 'virtual:wasm';

/** By its number in the wasm. */
export const Question = {
    NEW_RELATIONS: 0,
    BETWEEN: 1,
    CONTRADICTIONS: 2,
    DROP_RELATIONS: 3,
    NEW_LINKS: 4,
    EXCHANGE: 5,
    MESSAGE: 6,
    SNAPSHOT: 7,
    DIFFERENCE: 8,
    PAIRS: 9,
    DROP_LINKS: 10,
};

class Writer {
    #bytes = new Uint8Array(256);
    #length = 0;

    /** The place of this many bytes more. */
    #room(count) {
        const at = this.#length;
        this.#length += count;
        if (this.#length > this.#bytes.length) {
            const more = new Uint8Array(2 * this.#length);
            more.set(this.#bytes);
            this.#bytes = more;
        }
        return new DataView(this.#bytes.buffer, at, count);
    }

    u32(value) {
        this.#room(4).setUint32(0, value, true);
        return this;
    }

    i64(value) {
        this.#room(8).setBigInt64(0, value, true);
        return this;
    }

    f64(value) {
        this.#room(8).setFloat64(0, value, true);
        return this;
    }

    text(text) {
        const bytes = new TextEncoder().encode(text);
        this.u32(bytes.length);
        const { byteOffset } = this.#room(bytes.length);
        this.#bytes.set(bytes, byteOffset);
        return this;
    }

    list(values, write) {
        this.u32(values.length);
        for (const value of values) write(this, value);
        return this;
    }

    get bytes() {
        return this.#bytes.subarray(0, this.#length);
    }
}

class Reader {
    #view;
    #at = 0;

    constructor(bytes) {
        this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }

    u32() {
        this.#at += 4;
        return this.#view.getUint32(this.#at - 4, true);
    }

    i64() {
        this.#at += 8;
        return this.#view.getBigInt64(this.#at - 8, true);
    }

    f64() {
        this.#at += 8;
        return this.#view.getFloat64(this.#at - 8, true);
    }

    text() {
        const length = this.u32();
        this.#at += length;
        const { buffer, byteOffset } = this.#view;
        return new TextDecoder().decode(
            new Uint8Array(buffer, byteOffset + this.#at - length, length),
        );
    }

    list(read) {
        return Array.from({ length: this.u32() }, () => read(this));
    }
}

/** WebAssembly, which works out the order, does not start here; later attempts give the same. */
export class WasmUnavailable extends Error {
    constructor(cause) {
        const { code, text } = cannotStart(cause);
        const hint =
            "; where a Content-Security-Policy is why, add 'wasm-unsafe-eval' to script-src";
        super(text + (code === 'wasm_forbidden' ? '' : hint), { cause });
        this.name = 'WasmUnavailable';
        this.code = code;
    }
}

let wasm;
let unavailable;

function exported() {
    // It is not inflated again each time, for nothing.
    if (unavailable) throw unavailable;
    try {
        const bytes = inflate(decode(deflated), length);
        return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    } catch (error) {
        throw (unavailable = new WasmUnavailable(error));
    }
}

/**
 * What the wasm answers to a question; `write` puts what belongs to it on the tape. Throws a
 * TypeError with its words where it refuses, and WasmUnavailable where it does not start.
 */
export function ask(question, write) {
    wasm ??= exported();
    const writer = new Writer().u32(question);
    write(writer);
    const { bytes } = writer;
    const at = wasm.tape(bytes.length);
    new Uint8Array(wasm.memory.buffer, at, bytes.length).set(bytes);
    const answered = wasm.ask();
    // A copy, for the next question overwrites it.
    const answer = new Uint8Array(wasm.memory.buffer, wasm.answer(), answered).slice();
    const reader = new Reader(answer);
    if (reader.u32() === 0) throw new TypeError(reader.text());
    return reader;
}
