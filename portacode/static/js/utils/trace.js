/**
 * Traces: who did what when, on the way of a request from browser to device and back.
 *
 *     import { Trace } from '/static/js/utils/trace.js';
 *     import ntpClock from '/static/js/utils/ntp-clock.js';
 *
 *     const trace = new Trace();
 *     trace.stamp('client_send', ntpClock, 'browser');
 *     socket.send(JSON.stringify({ ...message, trace: trace.toMessage() }));
 *
 *     trace.order('client_send', 'server_receive'); // Order.CERTAINLY_BEFORE, if it is certain
 *     trace.problems(); // pairs that are certainly in the wrong order
 *
 * The format, and what the stamps mean, is docs/TRACE.md. It answers as portacode/trace.py does.
 */

import { LINKS_MAX, linkOf, linksOf, putLink, sameCounters } from './trace-links.js';
import {
    KEYS,
    STAMP_MAPS,
    TraceError,
    checkUnknown,
    checkedScope,
    object,
    own,
    stampOf,
    takeStamp,
} from './trace-parts.js';
import { Order, Related } from './trace-relations.js';

export { KEYS, Order, TraceError, takeStamp };

/** Stamps that are the browser's to make. */
export const CLIENT_KEYS = Object.freeze(['client_send', 'client_receive']);
/** Stamps that are the server's to make. */
export const SERVER_KEYS = Object.freeze([
    'server_receive',
    'server_send',
    'server_receive_response',
    'server_send_response',
]);
/** Stamps that are the device's to make. */
export const DEVICE_KEYS = Object.freeze([
    'device_receive',
    'handler_receive',
    'handler_dispatch',
    'handler_complete',
    'device_send',
]);

const MAPS = [...STAMP_MAPS.map(([, name]) => name), 'entities'];
const KNOWN = new Set([...KEYS, ...MAPS, 'ping', 'links']);
const ENTITY_CHARS = 128;
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
/**
 * What a `traceparent` says (W3C's Trace Context): `{traceId, spanId, sampled}`; null for what is
 * none. Of versions later than 00 what is known is read; version 00 has nothing that could follow.
 */
export function parseTraceparent(value) {
    const found = typeof value === 'string' ? TRACEPARENT.exec(value) : null;
    if (found === null) return null;
    const [, version, traceId, spanId, flags, more] = found;
    const nothing = /^0+$/;
    if (version === 'ff' || nothing.test(traceId) || nothing.test(spanId)) return null;
    if (version === '00' && more !== undefined) return null;
    return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 };
}

/**
 * The `traceparent` to pass on for one that came, null where there is none. That of a later version
 * is passed on in version 00, as far as it was understood.
 */
export function carriedTraceparent(value) {
    const parsed = parseTraceparent(value);
    if (parsed === null || value.startsWith('00-')) return parsed && value;
    return `00-${parsed.traceId}-${parsed.spanId}-${parsed.sampled ? '01' : '00'}`;
}

let relatedOf;

/** The stamps of one request. */
export class Trace {
    #stamps = new Map();
    #entities = new Map();
    #links = [];
    // By whether causes count; what is not changed since is not worked out again.
    #related = new Map();
    // What the server calls the counters that are bare here.
    #scoped = new Map();
    // What other versions know and this one does not.
    #extra = new Map();
    #extraMaps = new Map();

    /**
     * The trace that a message has as its `trace`; null or undefined is one without stamps. Stamps
     * other than `only` are left out, because they are not the sender's to make. `scope` is the
     * name of the peer that sent it: it is put before the names of its counters, so that it can
     * speak of no other's, and its links are left out; null for a trace of the server.
     */
    static fromMessage(value, only = KEYS, scope = null) {
        const trace = new Trace();
        checkedScope(scope);
        if (value === null || value === undefined) return trace;
        const members = object(value, 'trace');
        const maps = new Map(
            MAPS.map((name) => [name, object(own(members, name), `trace.${name}`)]),
        );
        for (const [name, part] of Object.entries(members)) {
            if (!KNOWN.has(name)) trace.#extra.set(name, part);
        }
        let count = trace.#extra.size;
        for (const [name, part] of maps) {
            const more = Object.entries(part).filter(([key]) => !KEYS.includes(key));
            if (more.length > 0) trace.#extraMaps.set(name, new Map(more));
            count += more.length;
        }
        if (count > 0) checkUnknown([trace.#extra, ...trace.#extraMaps.values()], count);
        if (scope === null) trace.#links = linksOf(own(members, 'links'));
        const wanted = new Set(only);
        for (const key of KEYS) {
            const stamp = stampOf(key, members, maps, scope, wanted.has(key));
            const entity = own(maps.get('entities'), key) ?? null;
            if (entity !== null && typeof entity !== 'string') {
                throw new TraceError(`trace.entities.${key} is not text`);
            }
            if (entity !== null && [...entity].length > ENTITY_CHARS) {
                throw new TraceError(
                    `trace.entities.${key} has more than ${ENTITY_CHARS} characters`,
                );
            }
            if (!wanted.has(key)) continue;
            if (stamp !== null) trace.#stamps.set(key, stamp);
            if (entity !== null) trace.#entities.set(key, entity);
        }
        return trace;
    }

    /** The trace as JSON has it. */
    toMessage() {
        const times = [];
        const maps = new Map(MAPS.map((name) => [name, []]));
        for (const key of KEYS) {
            const entity = this.#entities.get(key);
            if (entity !== undefined) maps.get('entities').push([key, entity]);
            const stamp = this.#stamps.get(key);
            if (stamp === undefined) continue;
            if (stamp.timeMs !== null) times.push([key, stamp.timeMs]);
            for (const [member, name] of STAMP_MAPS) {
                if (stamp[member] !== null) maps.get(name).push([key, stamp[member]]);
            }
        }
        if (this.pingMs !== null) times.push(['ping', this.pingMs]);
        const filled = [...maps]
            .map(([name, part]) => [name, [...part, ...(this.#extraMaps.get(name) ?? [])]])
            .filter(([, part]) => part.length > 0)
            // Unlike an assignment this makes a member of any name, `__proto__` as well.
            .map(([name, part]) => [name, Object.fromEntries(part)]);
        const links = this.#links.length > 0 ? [['links', this.links]] : [];
        return Object.fromEntries([...times, ...filled, ...links, ...this.#extra]);
    }

    /** Stamps this moment. */
    stamp(key, clock, entity) {
        this.put(key, takeStamp(clock), entity);
    }

    /** Adds a stamp that was taken before, say when the frame came in. */
    put(key, stamp, entity) {
        if (!KEYS.includes(key)) throw new TraceError(`there is no stamp '${key}'`);
        if (this.#stamps.has(key)) {
            throw new TraceError(`${key} is stamped already, and a stamp is made once`);
        }
        this.#related.clear();
        this.#stamps.set(key, this.#inScope(stamp));
        this.#entities.set(key, entity);
    }

    /** Adds what is known of two counters, in the place of what was known before. */
    addLink(snapshot) {
        this.#related.clear();
        putLink(this.#links, linkOf(snapshot, 'the link'));
    }

    /** What is known of the counters of its stamps, two at a time. */
    get links() {
        return this.#links.map((link) => ({ ...link }));
    }

    /**
     * Takes from another trace of the same request what this one has not, of the stamps `only`.
     * Where the other has stamps of this one under a counter's name with a scope, which is how they
     * come back from the server, this one's counters are called so from now on.
     */
    merge(other, only = KEYS) {
        this.#related.clear();
        const wanted = new Set(only);
        for (const [key, stamp] of other.#stamps) {
            if (!wanted.has(key)) continue;
            this.#learn(this.#stamps.get(key), stamp);
            if (this.#stamps.has(key)) continue;
            this.#stamps.set(key, stamp);
            if (other.#entities.has(key)) this.#entities.set(key, other.#entities.get(key));
        }
        const known = [...this.#links];
        for (const link of other.#links) {
            const missing = !known.some((mine) => sameCounters(mine, link));
            if (missing && this.#links.length < LINKS_MAX) putLink(this.#links, link);
        }
        const extra = new Map([...other.#extra, ...this.#extra]);
        const maps = new Map(this.#extraMaps);
        for (const [name, part] of other.#extraMaps) {
            maps.set(name, new Map([...part, ...(this.#extraMaps.get(name) ?? [])]));
        }
        const parts = [extra, ...maps.values()];
        const count = parts.reduce((sum, part) => sum + part.size, 0);
        try {
            if (count > 0) checkUnknown(parts, count);
        } catch (error) {
            if (!(error instanceof TraceError)) throw error;
            // Each has no more than a trace may have, and both together have: ours stay.
            return;
        }
        this.#extra = extra;
        this.#extraMaps = maps;
    }

    /** A stamp, also one without time; null where the event has not been stamped. */
    get(key) {
        return this.#stamps.get(key) ?? null;
    }

    /** Who stamped it. */
    entity(key) {
        return this.#entities.get(key) ?? null;
    }

    /** The last stamp there, in causal order, less client_send; null without either. */
    get pingMs() {
        const timed = this.#timed();
        if (timed.length < 2 || timed[0] !== 'client_send') return null;
        return this.#stamps.get(timed.at(-1)).timeMs - this.#stamps.get('client_send').timeMs;
    }

    /** Events without time, and why. */
    get unsynced() {
        const reasons = KEYS.map((key) => [key, this.#stamps.get(key)?.unsynced ?? null]);
        return Object.fromEntries(reasons.filter(([, reason]) => reason !== null));
    }

    /** The keys that have no time, in causal order; a complete trace misses none. */
    missing() {
        const timed = this.#timed();
        return KEYS.filter((key) => !timed.includes(key));
    }

    /** What can be said of the order of two stamps, no matter who made them. */
    order(a, b) {
        return this.relation(a, b).order;
    }

    /**
     * How one stamp stands to another: by counters, links, readings and what caused what. The
     * evidence 'exchanges' leaves out causes, and what links know by messages of requests.
     */
    relation(a, b, { evidence = 'all' } = {}) {
        return this.#relations().between([0, a], [0, b], evidence);
    }

    /** What cannot all be true, and counts for nothing: of each, at least one part lies. */
    contradictions() {
        return this.#relations().contradictions;
    }

    /** All pairs that are certainly in the wrong order, as the clocks say. */
    problems() {
        const keys = KEYS.filter((key) => this.#stamps.has(key));
        const counted = keys.every((key) => this.#stamps.get(key).counter);
        // What is certainly in the wrong order contradicts what caused what.
        if (counted && this.contradictions().length === 0) return [];
        const relations = this.#relations({ causes: false });
        return pairs(keys).flatMap(([earlier, later]) => {
            const { order, estMs, upperMs } = relations.between([0, earlier], [0, later]);
            if (order !== Order.CERTAINLY_AFTER) return [];
            return [{ earlier, later, byMs: -(estMs ?? upperMs) }];
        });
    }

    /** All pairs whose times by the system's clocks run backwards. */
    rawProblems() {
        const raw = (key) => this.#stamps.get(key)?.rawMs ?? null;
        return pairs(KEYS.filter((key) => raw(key) !== null))
            .filter(([earlier, later]) => raw(later) < raw(earlier))
            .map(([earlier, later]) => ({ earlier, later, byMs: raw(earlier) - raw(later) }));
    }

    /** The ways between neighbouring stamps that are there. */
    hops() {
        const timed = this.#timed();
        return timed.slice(1).map((end, index) => this.#hop(timed[index], end));
    }

    #hop(start, end) {
        const [one, other] = [this.#stamps.get(start), this.#stamps.get(end)];
        const { estMs, estErrorMs, lowerMs, upperMs } = this.relation(start, end);
        const known = one.maxErrorMs !== null && other.maxErrorMs !== null;
        // What the times say may be what cannot be.
        const ms = Math.max(estMs ?? other.timeMs - one.timeMs, lowerMs ?? -Infinity);
        return {
            start,
            end,
            ms: Math.min(ms, upperMs ?? Infinity),
            maxErrorMs: lowerMs === null || upperMs === null ? null : (upperMs - lowerMs) / 2,
            estErrorMs,
            lowerMs,
            upperMs,
            absoluteErrorMs: known ? one.maxErrorMs + other.maxErrorMs : null,
        };
    }

    #relations({ causes = true } = {}) {
        let related = this.#related.get(causes);
        if (!related) this.#related.set(causes, (related = relatedOf([this], { causes })));
        return related;
    }

    // The only way for a function beside the class to what the class keeps for itself.
    static {
        relatedOf = (traces, options) =>
            new Related(
                traces.map((trace) => ({
                    stamps: trace.#stamps,
                    entities: trace.#entities,
                    links: trace.#links,
                })),
                options,
            );
    }

    #learn(mine, returned) {
        if (!mine?.counter || !returned.counter || mine.counterNs !== returned.counterNs) return;
        if (returned.counter.endsWith(`/${mine.counter}`) && !mine.counter.includes('/')) {
            this.#scoped.set(mine.counter, returned.counter);
            for (const [key, stamp] of this.#stamps) this.#stamps.set(key, this.#inScope(stamp));
        }
    }

    #inScope(stamp) {
        const name = this.#scoped.get(stamp.counter);
        return name === undefined ? stamp : { ...stamp, counter: name };
    }

    #timed() {
        return KEYS.filter((key) => (this.#stamps.get(key)?.timeMs ?? null) !== null);
    }
}

/**
 * How a stamp stands to one of another trace, by all that both traces know: `[trace, key]` each.
 * The evidence 'exchanges' leaves out causes, and what links know by messages of requests.
 */
export function relation([one, a], [other, b], { evidence = 'all' } = {}) {
    if (one === other) return one.relation(a, b, { evidence });
    return relatedOf([one, other]).between([0, a], [1, b], evidence);
}

/** What can be said of the order of two stamps of two traces: that of their relation. */
export function order(a, b) {
    return relation(a, b).order;
}

function pairs(keys) {
    return keys.flatMap((earlier, index) => keys.slice(index + 1).map((later) => [earlier, later]));
}
