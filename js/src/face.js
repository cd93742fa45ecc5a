// What every clock offers on top of its readings, synchronised or set by hand.

import { now } from './counter.js';
import { wait } from './environment.js';
import { iso } from './iso.js';

/** Those who wait for a time to pass look so often at least: errors change meanwhile. */
const LOOK_MS = 50;
/** What true time may gain while a counter counts a millisecond, and a second that is left out. */
const FASTEST = 1 + 1 / 256;
const LEAP_SECOND_MS = 1000;

export class Clock extends EventTarget {
    #waiting = new Set();

    /** The earliest that true time can be now, milliseconds since 1970, or null. */
    earliest() {
        const reading = this.read();
        return reading && earliestOf(reading);
    }

    /** The latest that true time can be now, milliseconds since 1970, or null. */
    latest() {
        const reading = this.read();
        return reading && latestOf(reading);
    }

    /** Whether this time has certainly passed, or null. */
    isPast(timeMs) {
        const earliest = this.earliest();
        return earliest === null ? null : timeMs < earliest;
    }

    /** Whether this time has certainly not come yet, or null. */
    isFuture(timeMs) {
        const latest = this.latest();
        return latest === null ? null : latest < timeMs;
    }

    /**
     * Resolves, once this time has certainly passed, to the reading that says so. Rejects where it
     * has not after `timeout` ms or certainly will not have, or when `signal` aborts.
     */
    async waitUntilPast(timeMs, { timeout = Infinity, signal } = {}) {
        if (!Number.isFinite(timeMs))
            throw new TypeError(`${timeMs} is not a number of milliseconds`);
        const began = now();
        for (;;) {
            const reading = this.read();
            if (reading && timeMs < earliestOf(reading)) return reading;
            signal?.throwIfAborted();
            const left = timeout - (now() - began);
            const ahead = reading ? timeMs - latestOf(reading) : 0;
            if (ahead > left * FASTEST + LEAP_SECOND_MS) {
                throw timedOut(`it is at least ${ahead} ms ahead, longer than the timeout`);
            }
            if (!(left > 0)) {
                throw timedOut(reading ? 'it may not have yet' : 'the clock is not synchronised');
            }
            const gap = reading ? timeMs - earliestOf(reading) : LOOK_MS;
            await pause(Math.min(gap, LOOK_MS, left), signal);
        }
    }

    nowISO() {
        const time = this.now();
        return time === null ? null : iso(time);
    }

    /** Resolves true once there are readings, false after `timeout` ms or when `signal` aborts. */
    waitSynced({ timeout = Infinity, signal } = {}) {
        if (this.now() !== null) return Promise.resolve(true);
        if (signal?.aborted || timeout <= 0) return Promise.resolve(false);
        return new Promise((resolve) => {
            const done = (synced) => {
                release();
                this.#waiting.delete(done);
                signal?.removeEventListener('abort', no);
                resolve(synced);
            };
            const no = () => done(false);
            // Code that waits keeps a process alive; also where there is no limit.
            const release = wait(timeout, no);
            this.#waiting.add(done);
            signal?.addEventListener('abort', no, { once: true });
        });
    }

    /** There are readings from now on. */
    readable() {
        for (const done of this.#waiting) done(true);
    }

    tell(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}

/** Rounded down: a bound must not lose what a double has no room for. */
function earliestOf({ timeMs, maxErrorMs }) {
    const earliest = timeMs - maxErrorMs;
    return timeMs - earliest < maxErrorMs
        ? earliest - Math.abs(earliest) * Number.EPSILON
        : earliest;
}

/** Rounded up. */
function latestOf({ timeMs, maxErrorMs }) {
    const latest = timeMs + maxErrorMs;
    return latest - timeMs < maxErrorMs ? latest + Math.abs(latest) * Number.EPSILON : latest;
}

/** Ends early when `signal` aborts. */
function pause(ms, signal) {
    return new Promise((resolve) => {
        const done = () => {
            release();
            signal?.removeEventListener('abort', done);
            resolve();
        };
        const release = wait(ms, done);
        signal?.addEventListener('abort', done, { once: true });
    });
}

function timedOut(why) {
    return new DOMException(`that time has not certainly passed: ${why}`, 'TimeoutError');
}
