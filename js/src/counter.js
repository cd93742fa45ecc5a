// The local counter, performance.now(), how coarse it is, and the wall clock beside it.

const STEPS = 12;
const LONGEST_LOOK_MS = 8;
/** This many looks without a step take longer than a millisecond, which is the coarsest in use. */
const LOOKS = 100_000;
// A double of a day in milliseconds is no finer, and its rounding is an error too.
const FINEST_MS = 0.0001;
const CLOSE_MS = 5;
/** The page's counter and ours are the same when they are read this close together. */
const SAME_MS = 50;
/** What the wall clock and the counter may differ by while nothing happens: steps, and steering. */
const APART_MS = 50;
const APART_PPM = 600;

// As they were at import: what tests put in their place later is not this clock's time.
export const now = performance.now.bind(performance);
export const wall = Date.now;

let known;

/**
 * The smallest step of performance.now(), in milliseconds, measured once: browsers cut it off to
 * 5, 100 or 1000 microseconds, and where they add noise its steps are multiples of what they cut.
 * A counter that stands still, as under fake timers, ends the look by its count.
 */
export function resolution() {
    if (known !== undefined) return known;
    const began = now();
    let least = Infinity;
    let last = began;
    for (let steps = 0, looks = 0; steps < STEPS && looks < LOOKS; looks++) {
        const seen = now();
        if (seen > last) {
            least = Math.min(least, seen - last);
            last = seen;
            steps++;
            looks = 0;
        }
        if (seen - began > LONGEST_LOOK_MS) break;
    }
    // No step within the look: as coarse as anything in use.
    known = least === Infinity ? 20 : Math.max(least, FINEST_MS);
    return known;
}

/** A moment of the counter as stamps have it: whole nanoseconds, which no double need round. */
export function counted(ms) {
    return { counterNs: String(Math.floor(ms * 1e6)), resolutionNs: Math.ceil(resolution() * 1e6) };
}

/**
 * The counter and the wall clock at one moment: a thread that is held up between the two looks as
 * if the machine had slept.
 */
export function pair() {
    let closest = Infinity;
    let found;
    for (let tries = 0; tries < 8 && closest > CLOSE_MS; tries++) {
        const local = now();
        const shown = wall();
        const apart = now() - local;
        if (apart >= closest) continue;
        closest = apart;
        found = [local, shown];
    }
    return found;
}

/** Whether the moments that a program now gets of performance.now() are ones of our counter. */
export function isOurs() {
    for (let tries = 0; tries < 3; tries++) {
        if (Math.abs(performance.now() - now()) < SAME_MS) return true;
    }
    return false;
}

/**
 * From when on the counter is known to count without a pause: its beginning where the wall clock
 * has moved with it since, else now.
 */
export function wholeSince(local, shown) {
    const ahead = shown - (performance.timeOrigin + local);
    return Math.abs(ahead) < APART_MS ? 0 : local;
}

/**
 * Whether the counter has lost time since both clocks showed this, or the wall clock was set, which
 * looks the same.
 */
export function movedApart([localBefore, shownBefore], local, shown) {
    const passed = local - localBefore;
    const apart = Math.abs(shown - shownBefore - passed);
    return apart > APART_MS + (APART_PPM / 1e6) * passed;
}
