// The local counter, performance.now(), and how coarse it is.

const STEPS = 12;
const LONGEST_LOOK_MS = 8;
// A double of a day in milliseconds is no finer, and its rounding is an error too.
const FINEST_MS = 0.0001;
const CLOSE_MS = 5;

let known;

/**
 * The smallest step of performance.now(), in milliseconds, measured once: browsers cut it off to
 * 5, 100 or 1000 microseconds, and where they add noise its steps are multiples of what they cut.
 */
export function resolution() {
    if (known !== undefined) return known;
    const began = performance.now();
    let least = Infinity;
    let last = began;
    for (let steps = 0; steps < STEPS; ) {
        const now = performance.now();
        if (now > last) {
            least = Math.min(least, now - last);
            last = now;
            steps++;
        }
        if (now - began > LONGEST_LOOK_MS) break;
    }
    // No step within the look: as coarse as anything in use.
    known = least === Infinity ? 20 : Math.max(least, FINEST_MS);
    return known;
}

/**
 * performance.now() and Date.now() at one moment: a thread that is held up between the two looks as
 * if the machine had slept.
 */
export function pair() {
    let closest = Infinity;
    let found;
    for (let tries = 0; tries < 8 && closest > CLOSE_MS; tries++) {
        const now = performance.now();
        const wall = Date.now();
        const apart = performance.now() - now;
        if (apart >= closest) continue;
        closest = apart;
        found = [now, wall];
    }
    return found;
}

/**
 * From when on the counter is known to count without a pause: its beginning where the wall clock
 * has moved with it since, else now.
 */
export function wholeSince(now, wall) {
    const ahead = wall - (performance.timeOrigin + now);
    return Math.abs(ahead) < 50 ? 0 : now;
}
