// A clock that tests set by hand.

import { counterId } from './counter-id.js';
import { Clock } from './face.js';
import { iso } from './iso.js';

/** Starts unsynchronised; time stands still between calls. */
export class ManualClock extends Clock {
    #reading = null;
    #epoch = 1;
    #set = null;
    #failure = null;
    #counter = counterId();
    /** Milliseconds that have passed. */
    #passed = 0;

    /** It is `timeMs` now. An earlier time than before begins a new epoch. */
    set(timeMs, { maxErrorMs = 0, estErrorMs = 0 } = {}) {
        for (const number of [timeMs, maxErrorMs, estErrorMs]) {
            if (!Number.isFinite(number))
                throw new TypeError(`${number} is not a number of milliseconds`);
        }
        if (maxErrorMs < 0 || estErrorMs < 0) throw new RangeError('an error is not negative');
        const earlier = this.#set !== null && timeMs < this.#set;
        if (earlier) this.#epoch++;
        this.#set = timeMs;
        this.#reading = { timeMs, maxErrorMs, estErrorMs, epoch: this.#epoch };
        this.#failure = null;
        if (earlier) {
            const reason = 'set to an earlier time';
            this.tell('epoch', { epoch: this.#epoch, reason, code: 'by_hand' });
        }
        this.readable();
        this.tell('reading');
        this.tell('sync', { ...this.#reading });
    }

    /** So much time passes. */
    advance(ms) {
        if (!(ms >= 0)) throw new RangeError(`time does not pass by ${ms} ms`);
        this.#passed += ms;
        if (this.#reading) this.#set = this.#reading.timeMs += ms;
    }

    /** From now on there is no reading. */
    fail(error = 'failed by hand', code = 'by_hand') {
        this.#reading = null;
        this.#failure = { error, code };
        this.tell('fail', { attempt: 1, error, code });
    }

    now() {
        return this.#reading && this.#reading.timeMs;
    }

    read() {
        return this.#reading && { ...this.#reading };
    }

    stamp() {
        const counterNs = String(Math.floor(this.#passed * 1e6));
        return { counterNs, resolutionNs: 0, counter: this.#counter, reading: this.read() };
    }

    /** Time stands still, so all moments are now. */
    at(performanceMs) {
        return Number.isFinite(performanceMs) ? this.read() : null;
    }

    async sync() {
        return this.#reading !== null;
    }

    startAutoSync() {}
    stopAutoSync() {}

    getStatus() {
        const reading = this.#reading;
        return {
            server: 'manual',
            state: reading ? 'synchronised' : 'unsynchronised',
            isSynced: reading !== null,
            offset: reading && reading.timeMs - Date.now(),
            lastSync: reading && iso(reading.timeMs),
            timeSinceSync: reading && 0,
            maxErrorMs: reading && reading.maxErrorMs,
            estErrorMs: reading && reading.estErrorMs,
            delayMs: null,
            driftPpm: null,
            via: 'manual',
            boundAssumed: false,
            attempts: 0,
            rejections: {},
            address: null,
            lastError: this.#failure && this.#failure.error,
            lastErrorCode: this.#failure && this.#failure.code,
            nextSync: null,
            epoch: this.#epoch,
            counterId: this.#counter,
        };
    }
}
