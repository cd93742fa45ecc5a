// A relay over HTTP: requests by fetch, the first of each round only to have a connection.

import { now } from '../counter.js';
import { get, whyNot } from './get.js';
import { idOf, parsed, Replies } from './replies.js';

export class HttpRelay {
    via = 'http-relay';
    boundAssumed = false;
    #host;
    #url;
    #credentials;
    #replies;
    #warm = null;
    #abort = new AbortController();

    constructor(host, url, credentials) {
        this.#host = host;
        this.#url = url;
        this.#credentials = credentials;
        this.#replies = new Replies(host);
    }

    get server() {
        return this.#replies.server;
    }

    async send(cookie) {
        const { signal } = this.#abort;
        try {
            this.#warm ??= get(this.#address(0n), signal, this.#credentials);
            await this.#warm;
            if (signal.aborted) return;
            const url = this.#address(cookie);
            const t1 = now();
            const answer = get(url, signal, this.#credentials);
            this.#host.sent(cookie, t1);
            const { text, at } = await answer;
            if (signal.aborted) return;
            const seen = seenByBrowser(url, t1, at);
            this.#host.core().wasm.refine_sent(cookie, seen.sent);
            this.#replies.take(parsed(text), seen.received, cookie);
        } catch (error) {
            if (!signal.aborted) this.#host.notSent(cookie, whyNot(error, this.#url));
        }
    }

    #address(cookie) {
        const separator = this.#url.includes('?') ? '&' : '?';
        return `${this.#url}${separator}request_id=${idOf(cookie)}`;
    }

    roundOver() {
        // By the next round the connection may be another.
        this.#warm = null;
    }

    close() {
        this.#abort.abort();
        this.#abort = new AbortController();
        this.#warm = null;
    }
}

/**
 * When the request left and its reply began to arrive, where Resource Timing tells; it lies
 * between our own two stamps, or is not believed.
 */
function seenByBrowser(url, t1, t4) {
    const entry = performance.getEntriesByName?.(url)?.[0];
    const { requestStart = 0, responseStart = 0 } = entry ?? {};
    if (!(requestStart >= t1 && responseStart >= requestStart && responseStart <= t4)) {
        return { sent: t1, received: t4 };
    }
    return { sent: requestStart, received: responseStart };
}
