// What every clock offers on top of its readings, synchronised or set by hand.

import { wait } from './environment.js';
import { iso } from './iso.js';

export class Clock extends EventTarget {
    #waiting = new Set();

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
            // Whoever waits keeps a process alive; also where there is no limit.
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
