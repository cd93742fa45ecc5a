import type { Clock } from './ntp-clock.js';
import type { Evidence, Link, Relation } from './order.js';
import { Order } from './order.js';

export { Order };
export type { Evidence, Link, Relation };

/** The name of a stamp. */
export type Key =
    | 'client_send'
    | 'server_receive'
    | 'server_send'
    | 'device_receive'
    | 'handler_receive'
    | 'handler_dispatch'
    | 'handler_complete'
    | 'device_send'
    | 'server_receive_response'
    | 'server_send_response'
    | 'client_receive';

/** All stamps in causal order. */
export const KEYS: readonly Key[];
/** Stamps that are the browser's to make. */
export const CLIENT_KEYS: readonly Key[];
/** Stamps that are the server's to make. */
export const SERVER_KEYS: readonly Key[];
/** Stamps that are the device's to make. */
export const DEVICE_KEYS: readonly Key[];

/** What came is not a trace, or a stamp was to be made that may not; the message says why. */
export class TraceError extends Error {}

/** One event. Milliseconds are since the Unix epoch. */
export interface Stamp {
    /** True time; null where the clock was not synchronised. */
    readonly timeMs: number | null;
    /** Hard bound of timeMs; null where it has none. */
    readonly maxErrorMs: number | null;
    /** One standard deviation of timeMs. */
    readonly estErrorMs: number | null;
    /** Readings of one entity and epoch never decrease. */
    readonly epoch: number | null;
    /** The system's clock at the same moment. */
    readonly rawMs: number | null;
    /** Why there is no time. */
    readonly unsynced: string | null;
    /** Which counter the clock counts with, `[scope/]name`; null where it was not reported. */
    readonly counter: string | null;
    /** That counter at the same moment, nanoseconds as text; there also without time. */
    readonly counterNs: string | null;
    /** How coarse that counter is; null where it is not. */
    readonly counterResolutionNs: number | null;
}

/** Two stamps that stand in the wrong order. */
export interface Problem {
    /** What must have happened first. */
    readonly earlier: Key;
    /** What must have happened after it, and says that it did not. */
    readonly later: Key;
    /** How far the two are apart the wrong way. */
    readonly byMs: number;
}

/** The way from one stamp to the next one there. */
export interface Hop {
    readonly start: Key;
    readonly end: Key;
    /** How long it took, as well as is known. */
    readonly ms: number;
    /** Half of what is between lowerMs and upperMs; null where a side is not known. */
    readonly maxErrorMs: number | null;
    /** One standard deviation of ms. */
    readonly estErrorMs: number | null;
    /** At least so long, for certain. */
    readonly lowerMs: number | null;
    /** At most so long, for certain. */
    readonly upperMs: number | null;
    /** What it would be wrong by at most by the two times alone; null where one has no error. */
    readonly absoluteErrorMs: number | null;
}

/** What a stamp needs of a clock; one that has no `stamp` is stamped without its counter. */
export type StampClock = Pick<Clock, 'read' | 'getStatus'> & Partial<Pick<Clock, 'stamp'>>;

/** One event, by the clock of the entity that stamps it, now. */
export function takeStamp(clock: StampClock): Stamp;

/** The stamps of one request. */
export class Trace {
    constructor();
    /**
     * The trace that a message has as its `trace`; null or undefined is one without stamps. Stamps
     * other than `only` are left out, because they are not the sender's to make. `scope` is the
     * name of the peer that sent it, say `device:12`: it is put before the names of its counters,
     * so that it can speak of no other's, and its links are left out; null for a trace of the
     * server.
     *
     * @throws TraceError where it breaks a limit of docs/TRACE.md, or names another's counter;
     * RangeError where the scope is none.
     */
    static fromMessage(value: unknown, only?: Iterable<Key>, scope?: string | null): Trace;
    /** The trace as JSON has it. */
    toMessage(): Record<string, unknown>;
    /**
     * Stamps this moment.
     *
     * @throws TraceError where there is no such stamp, or it has been made.
     */
    stamp(key: Key, clock: StampClock, entity: string): void;
    /**
     * Adds a stamp that was taken before, say when the frame came in.
     *
     * @throws TraceError where there is no such stamp, or it has been made.
     */
    put(key: Key, stamp: Stamp, entity: string): void;
    /**
     * Adds what is known of two counters, in the place of what was known before.
     *
     * @throws TraceError where it is unsound, or the trace has 8 links of others.
     */
    addLink(snapshot: unknown): void;
    /** What is known of the counters of its stamps, two at a time. */
    readonly links: Link[];
    /**
     * Takes from another trace of the same request what this one has not, of the stamps `only`.
     * Where the other has stamps of this one under a counter's name with a scope, which is how they
     * come back from the server, this one's counters are called so from now on.
     */
    merge(other: Trace, only?: Iterable<Key>): void;
    /** A stamp, also one without time; null where the event has not been stamped. */
    get(key: Key): Stamp | null;
    /** Who stamped it. */
    entity(key: Key): string | null;
    /** The last stamp there, in causal order, less client_send; null without either. */
    readonly pingMs: number | null;
    /** Events without time, and why. */
    readonly unsynced: Partial<Record<Key, string>>;
    /** The keys that have no time, in causal order; a complete trace misses none. */
    missing(): Key[];
    /** What can be said of the order of two stamps, no matter who made them. */
    order(a: Key, b: Key): Order;
    /**
     * How one stamp stands to another: by counters, links, readings and what caused what. The
     * evidence 'exchanges' leaves out causes, and what links know by messages of requests.
     */
    relation(a: Key, b: Key, options?: { evidence?: Evidence }): Relation;
    /** What cannot all be true, and counts for nothing: of each, at least one part lies. */
    contradictions(): string[][];
    /** All pairs that are certainly in the wrong order, as the clocks say. */
    problems(): Problem[];
    /** All pairs whose times by the system's clocks run backwards. */
    rawProblems(): Problem[];
    /** The ways between neighbouring stamps that are there. */
    hops(): Hop[];
}

/** A stamp of a trace. */
export type Event = readonly [Trace, Key];

/**
 * How a stamp stands to one of another trace, by all that both traces know. The evidence
 * 'exchanges' leaves out causes, and what links know by messages of requests.
 */
export function relation(a: Event, b: Event, options?: { evidence?: Evidence }): Relation;
/** What can be said of the order of two stamps of two traces: that of their relation. */
export function order(a: Event, b: Event): Order;

/** A W3C trace context: which trace a message belongs to, and which span sent it. */
export interface TraceParent {
    /** 32 hexadecimal digits. */
    readonly traceId: string;
    /** 16 hexadecimal digits. */
    readonly spanId: string;
    readonly sampled: boolean;
}

/**
 * What a `traceparent` says; null for what is none. Of versions later than 00 what is known is
 * read; version 00 has nothing that could follow.
 */
export function parseTraceparent(value: unknown): TraceParent | null;
/** The `traceparent` to pass on for one that came, in version 00; null where there is none. */
export function carriedTraceparent(value: unknown): string | null;
