// What all relays have in common: the message asked with, and what is made of the reply.

import { node, timer } from '../environment.js';

/** Longer replies are not even parsed. */
export const REPLY_MAX = 4096;
/** Workers behind one relay whose epochs are remembered. */
const INSTANCES_MAX = 64;

export function idOf(cookie) {
    return cookie.toString(16).padStart(16, '0');
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
        const core = this.#host.core;
        const { server, error } = Object(reply);
        if (typeof error?.message === 'string') {
            this.#host.trouble(`the relay: ${error.message.slice(0, 200)}`);
        }
        if (typeof server !== 'string' || server === '' || server.length > 255) {
            core.wasm.refuse(cookie, 0, t4, performance.now());
        } else if (this.#server !== null && server !== this.#server) {
            core.wasm.refuse(cookie, 1, t4, performance.now());
        } else if (!this.#goesOn(reply)) {
            // What was learnt through it may be wrong: its own time began anew.
            this.#host.restart('the relay began an epoch of its own');
            return;
        } else {
            this.#named = server;
            const unsynchronised = reply.server_time === null;
            const fields = [
                number(reply.server_receive_time),
                number(reply.server_send_time),
                number(reply.root_delay_ms),
                number(reply.root_dispersion_ms),
                unsynchronised ? 16 : number(reply.stratum),
                unsynchronised ? 3 : number(reply.leap),
            ];
            const believed = core.relayed(cookie, fields, t4, performance.now());
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

/** A WebSocket of our own; opened by the first request, and again where it was closed. */
export class WebSocketRelay {
    via = 'ws-relay';
    boundAssumed = false;
    #host;
    #url;
    #replies;
    #socket = null;
    /** Waits for the socket to open. */
    #pending = null;

    constructor(host, url) {
        this.#host = host;
        this.#url = url;
        this.#replies = new Replies(host);
    }

    get server() {
        return this.#replies.server;
    }

    send(cookie) {
        this.#pending = cookie;
        if (this.#socket?.readyState === 1) this.#flush();
        else if (this.#socket?.readyState !== 0) this.#open();
    }

    #open() {
        const socket = new WebSocket(this.#url);
        this.#socket = socket;
        socket.onopen = () => this.#flush();
        socket.onmessage = ({ data }) => {
            const t4 = performance.now();
            if (socket === this.#socket) this.#replies.take(parsed(data), t4);
        };
        socket.onerror = () => {};
        socket.onclose = ({ code, reason }) => {
            if (socket !== this.#socket) return;
            this.#socket = null;
            this.#fail(`${this.#url}: WebSocket closed (${code}${reason && ` ${reason}`})`);
        };
    }

    #flush() {
        if (this.#pending === null) return;
        const cookie = this.#pending;
        this.#pending = null;
        const message = JSON.stringify({ event: 'clock_sync_request', request_id: idOf(cookie) });
        const at = performance.now();
        this.#socket.send(message);
        this.#host.sent(cookie, at);
    }

    #fail(trouble) {
        const cookie = this.#pending;
        this.#pending = null;
        this.#host.trouble(trouble);
        if (cookie !== null) this.#host.notSent(cookie, trouble);
    }

    roundOver() {}

    /** Nothing is asked until the next round: in Node an open socket would keep the process alive. */
    idle() {
        if (node) this.close();
    }

    close() {
        const socket = this.#socket;
        this.#socket = null;
        this.#pending = null;
        socket?.close();
    }
}

/** A connection that the page already has: its function sends, and it hands us the replies. */
export class PageRelay {
    via = 'ws-relay';
    boundAssumed = false;
    #host;
    #sender;
    #replies;

    constructor(host, sender) {
        this.#host = host;
        this.#sender = sender;
        this.#replies = new Replies(host);
    }

    get server() {
        return this.#replies.server;
    }

    send(cookie) {
        const message = { event: 'clock_sync_request', request_id: idOf(cookie) };
        const at = performance.now();
        let sent;
        try {
            sent = this.#sender(message);
        } catch (error) {
            this.#host.notSent(cookie, `the page's sender threw: ${error?.message ?? error}`);
            return;
        }
        if (sent === false) this.#host.notSent(cookie, "the page's connection is not open");
        else this.#host.sent(cookie, at);
    }

    receive(reply, t4) {
        this.#replies.take(reply, t4);
    }

    roundOver() {}
    close() {}
}

/** Requests by fetch, the first of each round only to have a connection. */
export class HttpRelay {
    via = 'http-relay';
    boundAssumed = false;
    #host;
    #url;
    #replies;
    #warm = null;
    #abort = new AbortController();

    constructor(host, url) {
        this.#host = host;
        this.#url = url;
        this.#replies = new Replies(host);
    }

    get server() {
        return this.#replies.server;
    }

    async send(cookie) {
        const { signal } = this.#abort;
        try {
            this.#warm ??= get(this.#address(0n), signal);
            await this.#warm;
            const url = this.#address(cookie);
            const t1 = performance.now();
            const answer = get(url, signal);
            this.#host.sent(cookie, t1);
            const { text, at } = await answer;
            if (signal.aborted) return;
            const seen = seenByBrowser(url, t1, at);
            this.#host.core.wasm.refine_sent(cookie, seen.sent);
            this.#replies.take(parsed(text), seen.received, cookie);
        } catch (error) {
            if (!signal.aborted) this.#host.notSent(cookie, `${this.#url}: ${why(error)}`);
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

/** The body and when its headers came; a body that is too long, or a request too slow, is none. */
export async function get(url, signal) {
    const slow = new AbortController();
    const stop = () => slow.abort();
    const limit = timer(stop, REQUEST_MS);
    signal.addEventListener('abort', stop, { once: true });
    try {
        const response = await fetch(url, {
            cache: 'no-store',
            credentials: 'omit',
            redirect: 'error',
            signal: slow.signal,
        });
        const at = performance.now();
        if (Number(response.headers.get('content-length')) > REPLY_MAX) {
            throw new Error(`its reply is longer than ${REPLY_MAX} bytes`);
        }
        if (!response.ok && response.status !== 503) throw new Error(`HTTP ${response.status}`);
        return { text: await bounded(response), at };
    } finally {
        clearTimeout(limit);
        signal.removeEventListener('abort', stop);
    }
}

/** A body's text, read no further than a reply may be long. */
async function bounded(response) {
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true };
        if (done) return text + decoder.decode();
        text += decoder.decode(value, { stream: true });
        if (text.length > REPLY_MAX) {
            reader.cancel().catch(() => {});
            throw new Error(`its reply is longer than ${REPLY_MAX} bytes`);
        }
    }
}

export function why(error) {
    if (error?.name === 'AbortError') return `no reply within ${REQUEST_MS / 1000} s`;
    return error?.cause?.message || error?.message || String(error);
}

/**
 * When the request left and its reply began to arrive, where Resource Timing tells; it lies
 * between our own two stamps, or is not believed.
 */
function seenByBrowser(url, t1, t4) {
    const entry = performance.getEntriesByName?.(new URL(url, globalThis.location?.href).href)?.[0];
    const { requestStart = 0, responseStart = 0 } = entry ?? {};
    if (!(requestStart >= t1 && responseStart >= requestStart && responseStart <= t4)) {
        return { sent: t1, received: t4 };
    }
    return { sent: requestStart, received: responseStart };
}

const REQUEST_MS = 4000;
