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

/** All stamps in causal order. */
export const KEYS = Object.freeze([
    'client_send',
    'server_receive',
    'server_send',
    'device_receive',
    'handler_receive',
    'handler_dispatch',
    'handler_complete',
    'device_send',
    'server_receive_response',
    'server_send_response',
    'client_receive',
]);

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

/** What can be said of the order of two stamps. */
export const Order = Object.freeze({
    CERTAINLY_BEFORE: 'certainly_before',
    CERTAINLY_AFTER: 'certainly_after',
    CANNOT_TELL: 'cannot_tell',
});

/** What came is not a trace, or a stamp was to be made that may not; the message says why. */
export class TraceError extends Error {
    constructor(message) {
        super(message);
        this.name = 'TraceError';
    }
}

// A stamp's members, and the maps of a message that hold them.
const STAMP_MAPS = [
    ['maxErrorMs', 'max_error_ms'],
    ['estErrorMs', 'est_error_ms'],
    ['epoch', 'epoch'],
    ['rawMs', 'raw'],
    ['unsynced', 'unsynced'],
];
const MAPS = [...STAMP_MAPS.map(([, name]) => name), 'entities'];
const KNOWN = new Set([...KEYS, ...MAPS, 'ping']);
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
const LATEST_MS = 253402300799999;
const REASON_CHARS = 200;
const NAME_CHARS = 64;
const ENTITY_CHARS = 128;
const UNKNOWN_MAX = 64;
const UNKNOWN_CHARS = 8192;

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

/** One event, by the clock of whoever stamps it, now. */
export function takeStamp(clock) {
    const reading = clock.read();
    const rawMs = Date.now();
    if (reading === null) {
        const reason = clock.getStatus().lastError || 'no reply yet';
        return { ...NO_TIME, rawMs, unsynced: clipped(reason) };
    }
    const { timeMs, maxErrorMs, estErrorMs, epoch } = reading;
    return { timeMs, maxErrorMs, estErrorMs, epoch, rawMs, unsynced: null };
}

/** The stamps of one request. */
export class Trace {
    #stamps = new Map();
    #entities = new Map();
    // What other versions know and this one does not.
    #extra = new Map();
    #extraMaps = new Map();

    /**
     * The trace that a message has as its `trace`; null or undefined is one without stamps. Stamps
     * other than `only` are left out, because they are not the sender's to make.
     */
    static fromMessage(value, only = KEYS) {
        const trace = new Trace();
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
        const wanted = new Set(only);
        for (const key of KEYS) {
            const stamp = stampOf(key, members, maps);
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
        return Object.fromEntries([...times, ...filled, ...this.#extra]);
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
        this.#stamps.set(key, stamp);
        this.#entities.set(key, entity);
    }

    /** Takes from another trace of the same request what this one has not, of the stamps `only`. */
    merge(other, only = KEYS) {
        const wanted = new Set(only);
        for (const [key, stamp] of other.#stamps) {
            if (!wanted.has(key) || this.#stamps.has(key)) continue;
            this.#stamps.set(key, stamp);
            if (other.#entities.has(key)) this.#entities.set(key, other.#entities.get(key));
        }
        for (const [name, value] of other.#extra) {
            if (!this.#extra.has(name)) this.#extra.set(name, value);
        }
        for (const [name, part] of other.#extraMaps) {
            this.#extraMaps.set(name, new Map([...part, ...(this.#extraMaps.get(name) ?? [])]));
        }
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
        const told = KEYS.map((key) => [key, this.#stamps.get(key)?.unsynced ?? null]);
        return Object.fromEntries(told.filter(([, reason]) => reason !== null));
    }

    /** The keys that have no time, in causal order; a complete trace misses none. */
    missing() {
        const timed = this.#timed();
        return KEYS.filter((key) => !timed.includes(key));
    }

    /** What can be said of the order of two stamps, whoever made them. */
    order(a, b) {
        return this.#compare(a, b).order;
    }

    /** All pairs that are certainly in the wrong order. */
    problems() {
        return pairs(this.#timed())
            .map(([earlier, later]) => ({ earlier, later, ...this.#compare(earlier, later) }))
            .filter(({ order }) => order === Order.CERTAINLY_AFTER)
            .map(({ earlier, later, apartMs }) => ({ earlier, later, byMs: -apartMs }));
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
        return timed.slice(1).map((end, index) => {
            const start = timed[index];
            const [one, other] = [this.#stamps.get(start), this.#stamps.get(end)];
            const known = (member) => one[member] !== null && other[member] !== null;
            return {
                start,
                end,
                ms: other.timeMs - one.timeMs,
                maxErrorMs: known('maxErrorMs') ? one.maxErrorMs + other.maxErrorMs : null,
                estErrorMs: known('estErrorMs')
                    ? Math.sqrt(one.estErrorMs ** 2 + other.estErrorMs ** 2)
                    : null,
            };
        });
    }

    #timed() {
        return KEYS.filter((key) => (this.#stamps.get(key)?.timeMs ?? null) !== null);
    }

    /** Their order, and `b` less `a`. */
    #compare(a, b) {
        const [one, other] = [this.get(a), this.get(b)];
        if (one === null || other === null || one.timeMs === null || other.timeMs === null) {
            return { order: Order.CANNOT_TELL, apartMs: NaN };
        }
        // Of two doubles this near the difference is exact; of sums with errors it would not be.
        const apartMs = other.timeMs - one.timeMs;
        if (one.maxErrorMs === null || other.maxErrorMs === null) {
            return { order: Order.CANNOT_TELL, apartMs };
        }
        const entity = this.entity(a);
        const alike = entity !== null && entity === this.entity(b);
        const sameLine = alike && one.epoch !== null && one.epoch === other.epoch;
        const unsureMs = sameLine ? 0 : one.maxErrorMs + other.maxErrorMs;
        if (apartMs > unsureMs) return { order: Order.CERTAINLY_BEFORE, apartMs };
        if (-apartMs > unsureMs) return { order: Order.CERTAINLY_AFTER, apartMs };
        return { order: Order.CANNOT_TELL, apartMs };
    }
}

const NO_TIME = Object.freeze({
    timeMs: null,
    maxErrorMs: null,
    estErrorMs: null,
    epoch: null,
    rawMs: null,
    unsynced: null,
});

function pairs(keys) {
    return keys.flatMap((earlier, index) => keys.slice(index + 1).map((later) => [earlier, later]));
}

/** A member of the object itself, not one that all objects have. */
function own(members, name) {
    return Object.hasOwn(members, name) ? members[name] : undefined;
}

function object(value, name) {
    if (value === null || value === undefined) return {};
    if (typeof value !== 'object' || Array.isArray(value)) {
        throw new TraceError(`${name} is not an object`);
    }
    return value;
}

function stampOf(key, members, maps) {
    const part = (name) => own(maps.get(name), key);
    const timeMs = number(own(members, key), `trace.${key}`, LATEST_MS);
    const maxErrorMs = number(part('max_error_ms'), `trace.max_error_ms.${key}`, Infinity);
    const estErrorMs = number(part('est_error_ms'), `trace.est_error_ms.${key}`, Infinity);
    const rawMs = number(part('raw'), `trace.raw.${key}`, LATEST_MS);
    const epoch = number(part('epoch'), `trace.epoch.${key}`, Number.MAX_SAFE_INTEGER);
    if (epoch !== null && !Number.isInteger(epoch)) {
        throw new TraceError(`trace.epoch.${key} is not a whole number`);
    }
    const reason = part('unsynced') ?? null;
    if (reason !== null && typeof reason !== 'string') {
        throw new TraceError(`trace.unsynced.${key} is not text`);
    }
    if (timeMs !== null) {
        if (reason !== null) {
            throw new TraceError(`trace.${key} is stamped and in trace.unsynced as well`);
        }
        return { timeMs, maxErrorMs, estErrorMs, epoch, rawMs, unsynced: null };
    }
    if (reason === null && rawMs === null) return null;
    return { ...NO_TIME, rawMs, unsynced: clipped(reason || 'no reason given') };
}

function number(value, name, limit) {
    if (value === null || value === undefined) return null;
    if (typeof value !== 'number') throw new TraceError(`${name} is not a number`);
    if (!(value >= 0 && value <= limit) || value === Infinity) {
        throw new TraceError(`${name} is out of range`);
    }
    return value;
}

function checkUnknown(parts, count) {
    if (count > UNKNOWN_MAX) {
        throw new TraceError(`trace has ${count} unknown keys, and ${UNKNOWN_MAX} are the most`);
    }
    for (const name of parts.flatMap((part) => [...part.keys()])) {
        const length = [...name].length;
        if (length > NAME_CHARS) {
            throw new TraceError(
                `trace has a key of ${length} characters, '${name.slice(0, 16)}'...`,
            );
        }
    }
    let size;
    try {
        size = [...JSON.stringify(parts.map((part) => [...part]))].length;
    } catch {
        throw new TraceError('trace has unknown keys that are nested too deeply');
    }
    if (size > UNKNOWN_CHARS) {
        throw new TraceError(`trace has unknown keys of more than ${UNKNOWN_CHARS} characters`);
    }
}

function clipped(text) {
    return [...text].slice(0, REASON_CHARS).join('');
}
