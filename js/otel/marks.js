// What hooks note of spans and log records, unseen by the program.

/** Between the SDK's look at Date.now() and the hook's is nothing but the SDK's own work. */
const AT_ONCE_MS = 20;

/** Gives back what it is given, so that a subclass's private fields are put on that. */
class Given {
    constructor(object) {
        return object;
    }
}

class Ended extends Given {
    #ms;

    constructor(span, ms) {
        super(span);
        this.#ms = ms;
    }

    static of(span) {
        return #ms in span ? span.#ms : undefined;
    }
}

class Emitted extends Given {
    #note;

    constructor(record, note) {
        super(record);
        this.#note = note;
    }

    static of(record) {
        return #note in record ? record.#note : undefined;
    }
}

/** performance.now() as the SDK passed the ended span on; undefined of one that no hook saw. */
export const endedMs = (span) => Ended.of(span);
/** What the hook noted of a log record; undefined of one that no hook saw. */
export const emitted = (record) => Emitted.of(record);

/**
 * The moments at which Date.now() can have shown this, for a look at it that was just before `nowMs`,
 * when it showed `nowShownMs`; null where it does not look like that.
 */
function justBefore(systemMs, nowMs, nowShownMs) {
    const agoMs = nowShownMs - systemMs;
    if (agoMs < 0 || agoMs > AT_ONCE_MS) return null;
    return [nowMs - agoMs - 1, nowMs];
}

const nothing = async () => {};

/** A span processor that notes when spans end, before others export them. */
export function spanHook(dates) {
    return {
        onStart() {},
        onEnd(span) {
            const nowMs = performance.now();
            if (Ended.of(span) === undefined && Object.isExtensible(span)) new Ended(span, nowMs);
            dates.sampleIfDue(nowMs);
        },
        forceFlush: nothing,
        shutdown: nothing,
    };
}

/** The same of log records as they are made. */
export function logHook(dates) {
    return {
        onEmit(record) {
            const shownNowMs = Date.now();
            const nowMs = performance.now();
            const [seconds, ns] = record.hrTimeObserved;
            const shownMs = seconds * 1000 + Math.floor(ns / 1e6);
            const range = justBefore(shownMs, nowMs, shownNowMs);
            if (Emitted.of(record) === undefined && Object.isExtensible(record)) {
                new Emitted(record, { nowMs, range, shownMs });
            }
            dates.sampleIfDue(nowMs);
        },
        // It asks for no record by itself.
        enabled: () => false,
        forceFlush: nothing,
        shutdown: nothing,
    };
}
