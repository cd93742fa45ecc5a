// Which of two spans of two programs came first, by exchanges between their own counters.

import {
    formatAnswer,
    formatMember,
    memberOf,
    parseAnswer,
    parseMember,
    withMember,
} from './member.js';

/** What comes from the network fills this many links, and is kept apart from the program's own. */
const MOST_LINKS = 1024;
/** The last exchanges of this many peers are sent in turn. */
const MOST_PEERS = 16;
/** What waits for the links to load. */
const MOST_WAITING = 256;
/** Where the API keeps a context's span: `createContextKey` of this name. */
const SPAN_KEY = Symbol.for('OpenTelemetry Context Key SPAN');

/** Exchanges with other programs, and what follows for spans. `stamp()` is the clock's. */
export class Relative {
    #stamp;
    #counterAt;
    #load;
    #links = null;
    #loading = false;
    #waiting = [];
    /** The members of remote parents, by their span contexts. */
    #members = new WeakMap();
    /** The last whole exchange with each peer, the one that was sent longest ago comes first. */
    #exchanges = new Map();

    /**
     * `counterAt(ms)` is the counter's name at a moment of performance.now(), or null; `load()`
     * brings the class Links, which is large and mostly not needed.
     */
    constructor({ stamp, counterAt, load }) {
        this.#stamp = stamp;
        this.#counterAt = counterAt;
        this.#load = load;
    }

    /** A propagator around the program's own. */
    propagator(inner) {
        return {
            fields: () => [...new Set([...inner.fields(), 'tracestate'])],
            inject: (context, carrier, setter) => this.#inject(inner, context, carrier, setter),
            extract: (context, carrier, getter) => {
                const extracted = inner.extract(context, carrier, getter);
                this.#extract(extracted, getter.get(carrier, 'tracestate'));
                return extracted;
            },
        };
    }

    /** What to answer a request that arrived at `t2`, as the answer leaves; null without a member. */
    answer(tracestate, { counter, counterNs: t2 }) {
        const asked = this.#memberIn(tracestate);
        if (asked === null) return null;
        const left = this.#stamp();
        if (left.counter !== counter) return null;
        return formatAnswer({ counter, t1: asked.sentNs, t2, t3: left.counterNs });
    }

    /** An answer came to a request that had this tracestate. */
    answered(tracestate, header) {
        if (typeof header !== 'string') return;
        const { counter, counterNs } = this.#stamp();
        const sent = this.#memberIn(tracestate);
        const theirs = parseAnswer(header);
        if (sent === null || theirs === null || sent.counter !== counter) return;
        const [t1, t4] = [sent.sentNs, BigInt(counterNs)];
        // A cache may have kept the answer to another request.
        if (theirs.t1 !== t1) return;
        if (theirs.counter === counter || t4 < t1) return;
        const exchange = { peer: theirs.counter, t1, t2: theirs.t2, t3: theirs.t3, t4 };
        this.#exchanges.delete(theirs.counter);
        this.#exchanges.set(theirs.counter, { counter, exchange });
        if (this.#exchanges.size > MOST_PEERS) {
            this.#exchanges.delete(this.#exchanges.keys().next().value);
        }
        this.#learn(counter, exchange);
    }

    /** What is known of a span's start and the sending by its remote parent. */
    attributes(span) {
        const member = this.#members.get(span.parentSpanContext ?? this);
        if (member === undefined || span._startTimeProvided !== false) return null;
        const startedMs = span._performanceStartTime;
        const counter = this.#counterAt(startedMs);
        if (counter === null) return null;
        const found = this.#difference(member, [counter, BigInt(Math.floor(startedMs * 1e6))]);
        const order = ORDERS[found?.order] ?? 'unknown';
        if (typeof found?.estMs !== 'number') return { 'ntp_clock.parent_order': order };
        const { estMs, lowerMs, upperMs } = found;
        return {
            'ntp_clock.parent_order': order,
            'ntp_clock.parent_gap_ns': Math.round(estMs * 1e6),
            'ntp_clock.parent_gap_max_error_ns': Math.ceil(
                Math.max(upperMs - estMs, estMs - lowerMs) * 1e6 + 1,
            ),
        };
    }

    #difference({ counter, sentNs }, start) {
        try {
            return this.#links?.difference([counter, sentNs], start, { evidence: 'exchanges' });
        } catch {
            // What came from the network is no reason to lose a span.
            return null;
        }
    }

    #inject(inner, context, carrier, setter) {
        let isTraced = false;
        let tracestate = '';
        inner.inject(context, carrier, {
            set(carrier, name, value) {
                if (name === 'tracestate') {
                    tracestate = value;
                    return;
                }
                isTraced ||= name === 'traceparent';
                setter.set(carrier, name, value);
            },
        });
        if (isTraced) tracestate = withMember(tracestate, this.#member());
        if (tracestate !== '') setter.set(carrier, 'tracestate', tracestate);
    }

    /** The request is not sent yet, so a moment of sending is not too late. */
    #member() {
        const { counter, counterNs: sentNs } = this.#stamp();
        const short = formatMember({ counter, sentNs });
        const [next] = this.#exchanges;
        if (next === undefined) return { short, long: short };
        const [peer, last] = next;
        this.#exchanges.delete(peer);
        // Nothing more is sent of a counter from before a sleep.
        if (last.counter !== counter) return { short, long: short };
        this.#exchanges.set(peer, last);
        const { exchange } = last;
        return { short, long: formatMember({ counter, sentNs, exchange }) };
    }

    #extract(context, header) {
        const member = this.#memberIn(header);
        const parent = context.getValue(SPAN_KEY)?.spanContext?.();
        if (member === null || !parent?.isRemote) return;
        this.#members.set(parent, member);
        const { counter } = this.#stamp();
        if (member.exchange?.peer === counter) this.#learn(member.counter, member.exchange);
        else this.#begin();
    }

    /** Node and frameworks give headers as text, or as a list of it. */
    #memberIn(header) {
        const text = Array.isArray(header) ? header.join(',') : header;
        const value = typeof text === 'string' ? memberOf(text) : null;
        return value === null ? null : parseMember(value);
    }

    #learn(a, { peer, t1, t2, t3, t4 }) {
        const stamps = { sentANs: t1, receivedBNs: t2, sentBNs: t3, receivedANs: t4 };
        if (this.#links === null) {
            if (this.#waiting.length < MOST_WAITING) this.#waiting.push([a, peer, stamps]);
            this.#begin();
        } else this.#feed(a, peer, stamps);
    }

    #feed(a, b, stamps) {
        try {
            this.#links.exchange(a, b, stamps);
        } catch {
            // They cannot be those of an exchange: its peer's mistake, and nobody else's.
        }
    }

    #begin() {
        if (this.#loading) return;
        this.#loading = true;
        this.#load().then(
            (Links) => {
                this.#links = new Links(MOST_LINKS);
                for (const each of this.#waiting.splice(0)) this.#feed(...each);
            },
            () => this.#waiting.splice(0),
        );
    }
}

/** How a span's start is to the sending, from how the sending is to that. */
const ORDERS = { certainly_before: 'after', certainly_after: 'before' };
