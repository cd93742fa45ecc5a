/** What can be said of the order of two moments. */
export const Order: {
    readonly CERTAINLY_BEFORE: 'certainly_before';
    readonly CERTAINLY_AFTER: 'certainly_after';
    readonly CANNOT_TELL: 'cannot_tell';
};
export type Order = (typeof Order)[keyof typeof Order];

/**
 * Thrown by `new Relations()` and `new Links()` where WebAssembly does not start: mostly because
 * the page's Content-Security-Policy lacks 'wasm-unsafe-eval' in its script-src.
 */
export class WasmUnavailable extends Error {
    /** `wasm_forbidden` by a Content-Security-Policy, or `wasm_failed`. */
    readonly code: 'wasm_forbidden' | 'wasm_failed';
}

/** Nanoseconds from 0 to 2**63 - 1, which no number holds: a BigInt, or text as messages have it. */
export type Nanos = bigint | string;

/** What an answer uses: all there is, or exchanges alone, without causes and other messages. */
export type Evidence = 'all' | 'exchanges';

/** An event, by the counter of the entity that stamped it. */
export interface Moment {
    /**
     * The counter's name, 1 to 256 characters. One that ends in `~` and a number is steered by its
     * system by up to this many parts per million.
     */
    readonly counter: string;
    /** What it read. */
    readonly counterNs: Nanos;
    /** True time at that moment since the Unix epoch; null where it was not known. */
    readonly timeNs?: Nanos | null;
    /** Hard bound of timeNs; null where it has none. */
    readonly maxErrorNs?: Nanos | null;
}

/** How one moment stands to another. Lengths are of true time, from the first to the second. */
export interface Relation {
    /** Their order. */
    readonly order: Order;
    /**
     * What makes it certain: clocks, links and readings, or the causes as well; null where it is
     * not certain.
     */
    readonly by: 'clock' | 'cause' | null;
    /** At least so long; below zero where the second may have come first. null: nobody knows. */
    readonly lowerMs: number | null;
    /** At most so long. */
    readonly upperMs: number | null;
    /** The best guess; null where a limit is missing. */
    readonly estMs: number | null;
    /** One standard deviation of estMs. */
    readonly estErrorMs: number | null;
    /** On what: 'own counter', 'link A-B', 'message ... -> ...', 'synchronised time'. */
    readonly restsOn: readonly string[];
}

/** What a link knew at one moment, as traces carry it: docs/TRACE.md. */
export interface Link {
    readonly a: string;
    readonly b: string;
    readonly a_ns: string;
    readonly b_ns: string;
    readonly lower_ns: number | null;
    readonly upper_ns: number | null;
    readonly est_ns: number | null;
    readonly est_error_ns: number | null;
    readonly rate_ppb: readonly [number, number];
    readonly round_trip_ns: number | null;
    readonly exchanges_ns: readonly [number | null, number | null];
}

/** A link as it stands. */
export interface Pair extends Link {
    /** How many exchanges it was fed. */
    readonly exchanges: number;
    /** How many single messages. */
    readonly messages: number;
    /** How often evidence contradicted what was known, so that it started again. */
    readonly restarts: number;
    /** Since the newest evidence, by the counter of `a`; null where that is not one's own. */
    readonly age_ns: number | null;
}

/** Moments by any number of counters, and all that follows of any two of them. */
export class Relations {
    /**
     * `causes` are places of two moments, the first of which made the other one happen: a message
     * was sent and received. `names` are those of the moments, for `restsOn`. Throws a TypeError
     * where something is no moment, no link or no cause.
     */
    constructor(
        moments: Iterable<Moment>,
        links?: Iterable<Link>,
        causes?: Iterable<readonly [number, number]>,
        options?: { names?: Iterable<string> },
    );
    /** How the moment at place `i` stands to that at place `j`. A RangeError: it is not there. */
    between(i: number, j: number, options?: { evidence?: Evidence }): Relation;
    /** Evidence that cannot all be true, and is used for nothing: in each, at least one lies. */
    get contradictions(): string[][];
}

/**
 * What is known of each two of many counters, from the messages between them. A bounded table:
 * where it is full, the link goes that was fed longest ago.
 */
export class Links {
    /** It holds this many links at the most, 4096 where nothing is said. */
    constructor(most?: number);
    /**
     * The counter `a` stamped a request and its reply, `b` their receipt and dispatch. Stamps of
     * sending are taken before, those of receipt after it. 'restarted': it contradicts what was
     * known, and the link starts again with this alone. Throws a TypeError where the stamps cannot
     * be those of an exchange.
     */
    exchange(
        a: string,
        b: string,
        stamps: { sentANs: Nanos; receivedBNs: Nanos; sentBNs: Nanos; receivedANs: Nanos },
    ): 'kept' | 'dropped' | 'restarted';
    /** Something was sent and received, each stamped by the counter of the side that did it. */
    message(
        sender: string,
        receiver: string,
        sentNs: Nanos,
        receivedNs: Nanos,
    ): 'kept' | 'dropped' | 'restarted';
    /** What is known of two counters at a moment of `a`, as traces carry it; null: nothing is. */
    snapshot(a: string, b: string, atNs: Nanos): Link | null;
    /**
     * How a moment of one counter stands to a moment of another: by their link, and by the links
     * of both to third counters.
     */
    difference(
        a: readonly [string, Nanos],
        b: readonly [string, Nanos],
        options?: { evidence?: Evidence },
    ): Relation;
    /**
     * Each link as it stands, those first that were fed last. `now` is one's own counter and what
     * it reads: links of that counter are given for now and have it as `a`.
     */
    pairs(now?: readonly [string, Nanos]): Pair[];
}
