// What every clock offers on top of its readings, be it synchronised or set by hand.

import { iso } from './iso.js';

export class Clock extends EventTarget {
    nowISO() {
        const time = this.now();
        return time === null ? null : iso(time);
    }

    /** Resolves true once there are readings, false after `timeout` ms or when `signal` aborts. */
    waitSynced({ timeout = Infinity, signal } = {}) {
        if (this.now() !== null) return Promise.resolve(true);
        if (signal?.aborted || timeout <= 0) return Promise.resolve(false);
        return new Promise((resolve) => {
            // Whoever waits keeps a process alive; also where there is no limit.
            const limit = setTimeout(
                () => done(timeout === Infinity),
                Math.min(timeout, 2 ** 31 - 1),
            );
            const done = (synced) => {
                clearTimeout(limit);
                this.removeEventListener('reading', yes);
                signal?.removeEventListener('abort', no);
                resolve(synced);
            };
            const yes = () => done(true);
            const no = () => done(false);
            this.addEventListener('reading', yes);
            signal?.addEventListener('abort', no, { once: true });
        });
    }

    /** Tells listeners; one that throws is reported and disturbs nobody. */
    tell(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}
