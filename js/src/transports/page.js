// A connection that the page already has: its function sends, and it hands us the replies.

import { now } from '../counter.js';
import { failure, failureOf } from '../failure.js';
import { Replies, requestOf } from './replies.js';

const NOT_OPEN = failure('sender_refused', "the page's connection is not open");
const threw = (error) => failureOf(error, 'sender_threw', "the page's sender threw: ");

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
        const at = now();
        let sent;
        try {
            sent = this.#sender(requestOf(cookie));
        } catch (error) {
            this.#host.notSent(cookie, threw(error));
            return;
        }
        if (sent === false) this.#host.notSent(cookie, NOT_OPEN);
        else this.#host.sent(cookie, at);
        if (typeof sent?.then !== 'function') return;
        // By then it counts as sent: all that is left is to say why no reply came.
        sent.then(
            (later) => later === false && this.#host.trouble(NOT_OPEN),
            (error) => this.#host.trouble(threw(error)),
        );
    }

    receive(reply, t4) {
        this.#replies.take(reply, t4);
    }

    roundOver() {}
    close() {}
}
