// What the tests' scripts use: the truth is the machine's wall clock, which all servers tell.

/**
 * A clock's reading against the truth, at the turn of a millisecond of Date.now(), which is there
 * right to its coarseness of 0.1 ms; again where the process was held up meanwhile. Null where
 * there is no reading.
 */
globalThis.probe = (clock) => {
    for (let tries = 0; tries < 1000; tries++) {
        const held = Date.now();
        let before;
        let truth;
        do {
            before = performance.now();
            truth = Date.now();
        } while (truth === held);
        const reading = clock.read();
        if (reading === null) return null;
        if (performance.now() - before > 0.3) continue;
        return { ...reading, error: reading.timeMs - truth };
    }
    throw new Error('this machine is too busy to measure on');
};

/** This many readings, this far apart. */
globalThis.probes = async (clock, count, everyMs) => {
    const found = [];
    for (let i = 0; i < count; i++) {
        const one = probe(clock);
        if (one) found.push(one);
        await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    return found;
};
