// What all relays have in common: the message asked with, and what is made of the reply.

import { now } from '../counter.js';
import { failure } from '../failure.js';

/** Longer replies are not even parsed. */
export const REPLY_MAX = 4096;
/** Workers behind one relay whose epochs are remembered. */
const INSTANCES_MAX = 64;

export function idOf(cookie) {
    return cookie.toString(16).padStart(16, '0');
}

export function requestOf(cookie) {
    return { event: 'clock_sync_request', request_id: idOf(cookie) };
}

/** The cookie that a reply names; one that is no request's where it names none. */
function cookieOf(reply) {
    const id = reply?.request_id;
    return typeof id === 'string' && /^[0-9a-f]{16}$/.test(id) ? BigInt(`0x${id}`) : 0n;
}

/** JSON within bounds, or undefined. */
export function parsed(text) {
    if (typeof text !== 'string' || text.length > REPLY_MAX) return undefined;
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

function number(value) {
    return typeof value === 'number' ? value : NaN;
}

/** Believes or rejects a relay's replies. */
export class Replies {
    #host;
    #epochs = new Map();
    /** What the first believed reply named; all others must name it too. */
    #server = null;
    /** What a reply named before one was believed. */
    #named = null;

    constructor(host) {
        this.#host = host;
    }

    /** Whose time the relay tells; null while it has not said. */
    get server() {
        return this.#server ?? this.#named;
    }

    /**
     * A reply arrived at `t4`, as an object or whatever came instead. Its carrier may know which
     * request it answers; one that names another is an old one, out of some cache.
     */
    take(reply, t4, carried = 0n) {
        const cookie = reply?.request_id == null && carried ? carried : cookieOf(reply);
        const core = this.#host.core();
        const { server, error } = Object(reply);
        if (typeof error?.message === 'string') {
            const words = `the relay: ${error.message.slice(0, 200)}`;
            this.#host.trouble(failure('relay_refused', words));
        }
        if (typeof server !== 'string' || server === '' || server.length > 255) {
            core.wasm.refuse(cookie, 0, t4, now());
        } else if (this.#server !== null && server !== this.#server) {
            core.wasm.refuse(cookie, 1, t4, now());
        } else if (!this.#goesOn(reply)) {
            // What was learnt through it may be wrong: its own time began afresh.
            this.#host.relayEpoch();
            return;
        } else {
            this.#named = server;
            const unsynchronised = reply.server_time === null;
            const fields = {
                receiveMs: number(reply.server_receive_time),
                sendMs: number(reply.server_send_time),
                rootDelayMs: number(reply.root_delay_ms),
                rootDispersionMs: number(reply.root_dispersion_ms),
                stratum: unsynchronised ? 16 : number(reply.stratum),
                leap: unsynchronised ? 3 : number(reply.leap),
            };
            const believed = core.relayed(cookie, fields, t4, now());
            if (believed) {
                this.#server = server;
                this.#remember(reply);
            }
        }
        this.#host.drive();
    }

    /** Whether this worker's epoch is the one that it had. */
    #goesOn({ instance, epoch }) {
        const known = this.#epochs.get(instance);
        if (known === undefined || known === epoch) return true;
        this.#epochs.clear();
        return false;
    }

    #remember({ instance, epoch }) {
        if (typeof instance !== 'string' || instance.length > 255 || typeof epoch !== 'number')
            return;
        if (this.#epochs.size >= INSTANCES_MAX) this.#epochs.clear();
        this.#epochs.set(instance, epoch);
    }
}
