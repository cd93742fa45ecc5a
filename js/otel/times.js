// Times as the SDK has them: [seconds, nanoseconds] since 1970; and what is said of them.

/** A Unix time in milliseconds, as fine as its double is. */
export function hrTime(ms) {
    const seconds = Math.floor(ms / 1000);
    const ns = Math.round((ms - seconds * 1000) * 1e6);
    return ns < 1e9 ? [seconds, ns] : [seconds + 1, ns - 1e9];
}

export const millis = ([seconds, ns]) => seconds * 1000 + ns / 1e6;
export const nanos = ([seconds, ns]) => BigInt(seconds) * 1_000_000_000n + BigInt(ns);
/** From one time to another, without the rounding of times since 1970. */
export const elapsedMs = (from, to) => (to[0] - from[0]) * 1000 + (to[1] - from[1]) / 1e6;
export const isSame = (a, b) => a[0] === b[0] && a[1] === b[1];
/** As Date.now() gives them. */
export const isWholeMs = ([, ns]) => ns % 1_000_000 === 0;

/** Whether an item was dated already, or said to be undatable. */
export const isDated = ({ attributes }) => 'ntp_clock.synchronised' in attributes;

/** The largest errors of several readings, and the last epoch. */
export class Worst {
    maxErrorMs = 0;
    estErrorMs = 0;
    epoch = 0;

    add({ maxErrorMs, estErrorMs, epoch }) {
        this.maxErrorMs = Math.max(this.maxErrorMs, maxErrorMs);
        this.estErrorMs = Math.max(this.estErrorMs, estErrorMs);
        this.epoch = Math.max(this.epoch, epoch);
    }

    /** A time moved so that an order is kept is that much farther from what was measured. */
    moved(ms) {
        this.maxErrorMs += ms;
    }

    /** Errors up to powers of two of nanoseconds, where each other value makes new series. */
    rounded() {
        const rounded = new Worst();
        rounded.maxErrorMs = powerOfTwo(this.maxErrorMs);
        rounded.estErrorMs = powerOfTwo(this.estErrorMs);
        rounded.epoch = this.epoch;
        return rounded;
    }

    /** The attributes of an item, and what is known of its times. */
    attributes(own, server) {
        const all = { ...own };
        all['ntp_clock.synchronised'] = true;
        all['ntp_clock.server'] = server;
        // Upwards, for an error must not become smaller.
        all['ntp_clock.max_error_ns'] = Math.ceil(this.maxErrorMs * 1e6);
        all['ntp_clock.est_error_ns'] = Math.ceil(this.estErrorMs * 1e6);
        all['ntp_clock.epoch'] = this.epoch;
        return all;
    }
}

const powerOfTwo = (ms) => 2 ** Math.ceil(Math.log2(Math.max(1, Math.ceil(ms * 1e6)))) / 1e6;

export const UNSYNCHRONISED = Object.freeze({ 'ntp_clock.synchronised': false });
