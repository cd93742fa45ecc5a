// The browser's clock against the synchronised one, finer than Date.now() counts.

/** Longer than a millisecond lasts; browsers that cut off to more are taken as they are. */
const LONGEST_LOOK_MS = 1.5;

/**
 * A reading and by how much it is ahead of Date.now(), or null. Date.now() is cut off to whole
 * milliseconds, so its turn is waited for: there it is right.
 */
export function compare(clock) {
    const began = performance.now();
    const first = Date.now();
    let wall = first;
    while (wall === first && performance.now() - began < LONGEST_LOOK_MS) wall = Date.now();
    const reading = clock.read();
    if (!reading) return null;
    // Without a turn it is half a millisecond late in the mean.
    const offset = reading.timeMs - (wall === first ? wall + 0.5 : wall);
    return { ...reading, offset, at: performance.now() };
}
