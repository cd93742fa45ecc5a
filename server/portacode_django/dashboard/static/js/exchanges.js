/**
 * Compares this page's counter with the server's over the socket that the page has, so that what
 * happened first is known also where both clocks are far from their common source.
 *
 *     const exchanges = new Exchanges(clock, (message) => send(message));
 *     exchanges.start();                                   // The connection is open.
 *     if (exchanges.take(message.request_id, stamp)) ...   // It answers one of these requests.
 *     exchanges.stop();                                    // The connection has ended.
 *
 * The page tells its own two stamps, T1 and T4, and the server works out what they say. The
 * messages are those of docs/WIRE.md.
 */

/** Milliseconds to wait before each of the first requests, and before each one after them. */
const FIRST_MS = [0, 500, 500, 1000, 2000, 4000];
const EVERY_MS = 10_000;
/** Requests that are remembered. */
const KEPT = 8;

export class Exchanges {
    #clock;
    #send;
    #timer = undefined;
    #sent = 0;
    #counter = null;
    /** By request: the counter that it was sent by. */
    #underWay = new Map();
    /** Which reply came last, and when by the counter. */
    #last = null;
    /** It has been said that the clock gives no stamps. */
    #warned = false;

    /**
     * @param clock Whose counter it is.
     * @param send Called with a message, which it sends at once.
     */
    constructor(clock, send) {
        this.#clock = clock;
        this.#send = send;
    }

    /** A connection has opened: what was under way over another one is forgotten. */
    start() {
        this.stop();
        this.#underWay.clear();
        this.#last = null;
        this.#counter = null;
        this.#sent = 0;
        this.#wait();
    }

    /** The connection has ended. */
    stop() {
        clearTimeout(this.#timer);
    }

    /** The next request, to be sent at once; `now` is a stamp of the clock, taken just before. */
    request(now, requestId = newId()) {
        const { counter } = now;
        const message = { event: 'clock_sync_request', request_id: requestId, counter };
        message.sent = String(atLeast(now));
        const last = this.#last;
        this.#last = null;
        if (last?.counter === counter) {
            message.last = { request_id: last.requestId, received: last.received };
        }
        this.#underWay.set(requestId, counter);
        if (this.#underWay.size > KEPT) {
            this.#underWay.delete(this.#underWay.keys().next().value);
        }
        return message;
    }

    /** A reply came at `received`, a stamp taken first thing; whether it answers one of these. */
    take(requestId, received) {
        const counter = this.#underWay.get(requestId);
        if (counter === undefined) return false;
        this.#underWay.delete(requestId);
        if (counter === received.counter) {
            this.#last = { requestId, counter, received: String(atMost(received)) };
        }
        return true;
    }

    #wait() {
        const pause = FIRST_MS[this.#sent] ?? EVERY_MS;
        this.#sent += 1;
        this.#timer = setTimeout(() => {
            const now = this.#stamp();
            if (now === null) {
                this.#wait();
                return;
            }
            // After a sleep nothing is known of it any more.
            if (this.#counter !== null && now.counter !== this.#counter) this.#sent = 1;
            this.#counter = now.counter;
            // First, so that what sending throws does not end them, and stop() within it does.
            this.#wait();
            this.#send(this.request(now));
        }, pause);
    }

    /** A stamp of the clock, or null where it has none to give now. */
    #stamp() {
        try {
            return this.#clock.stamp();
        } catch (error) {
            if (!this.#warned) {
                console.warn(
                    'the clock has no stamp for an exchange now; it tries again at the next turn',
                    error,
                );
            }
            this.#warned = true;
            return null;
        }
    }
}

// A page's counter is coarse: what was sent was sent no earlier than this ...
function atLeast({ counterNs, resolutionNs }) {
    const ns = BigInt(counterNs) - BigInt(Math.ceil(resolutionNs));
    return ns > 0n ? ns : 0n;
}

// ... and what came had come by then.
function atMost({ counterNs, resolutionNs }) {
    return BigInt(counterNs) + BigInt(Math.ceil(resolutionNs));
}

function newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
