// Cloudflare's HTTPS time: one stamp to a reply, of whole seconds or milliseconds.

import { now } from '../counter.js';
import { timer } from '../environment.js';
import { get, whyNot } from './get.js';

export const CLOUDFLARE_TRACE = 'https://cloudflare.com/cdn-cgi/trace';

/** `ts=1759639032.123` of a trace, or null: Unix milliseconds and the number of its decimals. */
export function stampOf(trace) {
    const found = /^ts=(\d{1,11})(?:\.(\d{1,6}))?\s*$/m.exec(trace);
    if (!found) return null;
    const [, seconds, fraction = ''] = found;
    const ms = Number(seconds) * 1000 + Number(fraction.padEnd(6, '0')) / 1000;
    return { ms, decimals: fraction.length, whole: Number(fraction) === 0 };
}

/** Whose time it is, as the status names it. */
export const serverOf = (url) => new URL(url, globalThis.location?.href).host;

export class HttpsTime {
    via = 'https';
    // Its servers do not say how wrong they are.
    boundAssumed = true;
    #host;
    #url;
    #warm = null;
    #roundTripMs = 0;
    /** A stamp with a fraction was seen: only then are the decimals of others worth anything. */
    #fractions = false;
    #abort = new AbortController();

    constructor(host, url) {
        this.#host = host;
        this.#url = url;
        this.server = serverOf(url);
    }

    async send(cookie) {
        const { signal } = this.#abort;
        const { wasm } = this.#host.core();
        try {
            if (!this.#warm) {
                const began = now();
                this.#warm = get(this.#url, signal);
                await this.#warm;
                this.#roundTripMs ||= now() - began;
            }
            const asked = now();
            const wait = wasm.stamped_send(asked, this.#roundTripMs) - asked;
            if (wait > 0) await new Promise((resolve) => timer(resolve, wait));
            if (signal.aborted) return;
            const t1 = now();
            const { text, at: t4 } = await get(this.#url, signal);
            if (signal.aborted) return;
            this.#roundTripMs = t4 - t1;
            const stamp = stampOf(text);
            if (stamp && !stamp.whole) this.#fractions = true;
            const resolution = this.#fractions ? 1000 / 10 ** (stamp?.decimals ?? 0) : 1000;
            // A trace without a stamp is a stamp that is no number.
            wasm.stamped(cookie, t1, stamp?.ms ?? NaN, resolution, t4, now());
            this.#host.drive();
        } catch (error) {
            if (!signal.aborted) this.#host.notSent(cookie, whyNot(error, this.#url));
        }
    }

    roundOver() {
        this.#warm = null;
    }

    close() {
        this.#abort.abort();
        this.#abort = new AbortController();
        this.#warm = null;
    }
}
