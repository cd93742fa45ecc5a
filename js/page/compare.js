// The browser's clock against the synchronised one, finer than Date.now() counts.

/** Longer than a millisecond lasts; browsers that cut off to more are taken as they are. */
const LONGEST_LOOK_MS = 1.5;
/** More than fit into that: clocks that stand still, as under fake timers, end the look as well. */
const LOOKS = 100_000;
/** Longer between the turn and the reading, and something else had the processor. */
const HELD_UP_MS = 0.25;
const TRIES = 4;

/**
 * A reading and by how much it is ahead of Date.now(), or null. Date.now() is cut off to whole
 * milliseconds, so its turn is waited for: there it is right.
 */
export function compare(clock) {
    let found = null;
    for (let tries = 0; tries < TRIES; tries++) {
        found = once(clock);
        if (!found || found.heldUpMs <= HELD_UP_MS) break;
    }
    return found;
}

function once(clock) {
    const began = performance.now();
    const first = Date.now();
    let before = began;
    let wall = first;
    for (let looks = 0; wall === first && looks < LOOKS; looks++) {
        if (before - began >= LONGEST_LOOK_MS) break;
        before = performance.now();
        wall = Date.now();
    }
    const reading = clock.read();
    if (!reading) return null;
    const at = performance.now();
    // Without a turn it is half a millisecond late in the mean.
    const offset = reading.timeMs - (wall === first ? wall + 0.5 : wall);
    return { ...reading, offset, at, heldUpMs: at - before };
}
