// What a trace is made of: its stamps, and how they are read from a message.

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

/** What came is not a trace, or a stamp was to be made that may not; the message says why. */
export class TraceError extends Error {
    constructor(message) {
        super(message);
        this.name = 'TraceError';
    }
}

// A stamp's members, and the maps of a message that hold them.
export const STAMP_MAPS = [
    ['maxErrorMs', 'max_error_ms'],
    ['estErrorMs', 'est_error_ms'],
    ['epoch', 'epoch'],
    ['rawMs', 'raw'],
    ['unsynced', 'unsynced'],
    ['counter', 'counter'],
    ['counterNs', 'counter_ns'],
    ['counterResolutionNs', 'counter_resolution_ns'],
];
const LATEST_MS = 253402300799999;
const RESOLUTION_MAX_NS = 1e9;
const REASON_CHARS = 200;
const NAME_CHARS = 64;
const UNKNOWN_MAX = 64;
const UNKNOWN_CHARS = 8192;
// Free-running, or steered by at most this many parts per million.
const COUNTER = /^(?:([ -.0-~]{1,64})\/)?[0-9a-f]{16}(?:~[0-9]{1,6})?$/;
const SCOPE = /^[ -.0-~]{1,64}$/;
const WHOLE = /^(?:0|[1-9][0-9]{0,18})$/;
const NO_COUNTER = Object.freeze({ counter: null, counterNs: null, counterResolutionNs: null });

/** One event, by the clock of the entity that stamps it, now. */
export function takeStamp(clock) {
    const { reading, ...moment } = clock.stamp?.() ?? { reading: clock.read() };
    const rawMs = Date.now();
    const { counter = null, counterNs = null, resolutionNs } = moment;
    const counted = { counter, counterNs, counterResolutionNs: resolutionNs || null };
    if (reading === null) {
        const reason = clock.getStatus().lastError || 'no reply yet';
        return { ...NO_TIME, rawMs, unsynced: clipped(reason), ...counted };
    }
    const { timeMs, maxErrorMs, estErrorMs, epoch } = reading;
    return { timeMs, maxErrorMs, estErrorMs, epoch, rawMs, unsynced: null, ...counted };
}

const NO_TIME = Object.freeze({
    timeMs: null,
    maxErrorMs: null,
    estErrorMs: null,
    epoch: null,
    rawMs: null,
    unsynced: null,
    ...NO_COUNTER,
});

/** A member of the object itself, not one that all objects have. */
export function own(members, name) {
    return Object.hasOwn(members, name) ? members[name] : undefined;
}

/** An object; an empty one for null. */
export function object(value, name) {
    if (value === null || value === undefined) return {};
    if (typeof value !== 'object' || Array.isArray(value)) {
        throw new TraceError(`${name} is not an object`);
    }
    return value;
}

/** A message's stamp of this key; its sender's counters are named in `scope` if it is taken. */
export function stampOf(key, members, maps, scope, taken) {
    const part = (name) => own(maps.get(name), key);
    const timeMs = number(own(members, key), `trace.${key}`, LATEST_MS);
    const maxErrorMs = number(part('max_error_ms'), `trace.max_error_ms.${key}`, Infinity);
    const estErrorMs = number(part('est_error_ms'), `trace.est_error_ms.${key}`, Infinity);
    const rawMs = number(part('raw'), `trace.raw.${key}`, LATEST_MS);
    const epoch = whole(part('epoch'), `trace.epoch.${key}`, Number.MAX_SAFE_INTEGER);
    const reason = part('unsynced') ?? null;
    if (reason !== null && typeof reason !== 'string') {
        throw new TraceError(`trace.unsynced.${key} is not text`);
    }
    const counted = counterOf(key, part, taken ? scope : null);
    if (timeMs !== null) {
        if (reason !== null) {
            throw new TraceError(`trace.${key} is stamped and in trace.unsynced as well`);
        }
        return { timeMs, maxErrorMs, estErrorMs, epoch, rawMs, unsynced: null, ...counted };
    }
    if (reason === null && rawMs === null && counted.counter === null) return null;
    return { ...NO_TIME, rawMs, unsynced: clipped(reason || 'no reason given'), ...counted };
}

/** A finite number of this range; null for null. */
export function number(value, name, most, least = 0) {
    if (value === null || value === undefined) return null;
    if (typeof value !== 'number') throw new TraceError(`${name} is not a number`);
    if (!(value >= least && value <= most) || value === Infinity) {
        throw new TraceError(`${name} is out of range`);
    }
    return value;
}

/** What this version does not know is kept, within limits. */
export function checkUnknown(parts, count) {
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

function counterOf(key, part, scope) {
    const [name, value] = [part('counter') ?? null, part('counter_ns') ?? null];
    const where = `trace.counter_resolution_ns.${key}`;
    const resolutionNs = whole(part('counter_resolution_ns'), where, RESOLUTION_MAX_NS);
    if (name === null && value === null) return NO_COUNTER;
    if (name === null || value === null) {
        const [has, misses] =
            value === null ? ['counter', 'counter_ns'] : ['counter_ns', 'counter'];
        throw new TraceError(`trace.${has}.${key} stands without trace.${misses}.${key}`);
    }
    return {
        counter: scopedCounter(name, `trace.counter.${key}`, scope),
        counterNs: counterNs(value, `trace.counter_ns.${key}`),
        counterResolutionNs: resolutionNs || null,
    };
}

/**
 * A counter's name as it is kept: in the scope of the peer that reported it, if it was a peer. A
 * peer speaks of its own counters alone: what it names is bare, or in its very scope.
 */
export function scopedCounter(name, where, scope) {
    const found = typeof name === 'string' ? COUNTER.exec(name) : null;
    if (found === null) throw new TraceError(`${where} is not the name of a counter`);
    if (scope === null || found[1] === scope) return name;
    if (found[1] !== undefined) {
        throw new TraceError(`${where} is a counter in the scope of another`);
    }
    return `${scope}/${name}`;
}

/** A scope that can stand before a counter's name. */
export function checkedScope(scope) {
    if (scope !== null && !(typeof scope === 'string' && SCOPE.test(scope))) {
        throw new RangeError(`a scope is 1 to 64 printable characters without /, not '${scope}'`);
    }
    return scope;
}

/** A counter's value: nanoseconds as text, which no reader rounds. */
export function counterNs(value, where) {
    const whole = typeof value === 'string' && WHOLE.test(value);
    if (!whole || BigInt(value) >= 1n << 63n) {
        throw new TraceError(
            `${where} is not text of a whole number of nanoseconds from 0 to 2^63 - 1`,
        );
    }
    return value;
}

function whole(value, where, most) {
    const found = number(value, where, most);
    if (found !== null && !Number.isInteger(found)) {
        throw new TraceError(`${where} is not a whole number`);
    }
    return found;
}
