// A relay over a WebSocket of our own; opened by the first request, and again where it was closed.

import { now } from '../counter.js';
import { node } from '../environment.js';
import { failure, failureOf } from '../failure.js';
import { parsed, Replies, requestOf } from './replies.js';

const MISSING =
    'there is no WebSocket here: use Node 22 or newer, set globalThis.WebSocket, or name an ' +
    'https: relay';

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
        if (typeof WebSocket !== 'function') {
            this.#fail(failure('websocket_missing', `${this.#url}: ${MISSING}`));
            return;
        }
        let socket;
        try {
            socket = new WebSocket(this.#url);
        } catch (error) {
            this.#fail(failureOf(error, 'websocket_forbidden', `${this.#url}: `));
            return;
        }
        this.#socket = socket;
        socket.onopen = () => {
            if (socket === this.#socket) this.#flush();
        };
        socket.onmessage = ({ data }) => {
            const t4 = now();
            if (socket === this.#socket) this.#replies.take(parsed(data), t4);
        };
        socket.onerror = () => {};
        socket.onclose = ({ code, reason }) => {
            if (socket !== this.#socket) return;
            this.#socket = null;
            const words = `${this.#url}: WebSocket closed (${code}${reason && ` ${reason}`})`;
            // Browsers tell nobody why a connection could not be made, or broke.
            this.#fail(failure(code === 1006 ? 'websocket_broken' : 'websocket_closed', words));
        };
    }

    #flush() {
        if (this.#pending === null) return;
        const cookie = this.#pending;
        const message = JSON.stringify(requestOf(cookie));
        const at = now();
        try {
            this.#socket.send(message);
        } catch (error) {
            this.#fail(failureOf(error, 'websocket_broken', `${this.#url}: `));
            return;
        }
        this.#pending = null;
        this.#host.sent(cookie, at);
    }

    #fail(trouble) {
        const cookie = this.#pending;
        this.#pending = null;
        if (cookie === null) this.#host.trouble(trouble);
        else this.#host.notSent(cookie, trouble);
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
