// What of the samples a plot has to show, and where its lines stand.

/** Nearly all of what is probable: three standard deviations. */
const FEW = 3;
/** The panel of the hard bound is as high as bounds of this age. */
const YOUNG_MS = 20_000;
/** Less than this is the noise of a browser's clocks. */
const LEAST_MS = 0.02;
/** A gap in the samples longer than this is a gap in the line: sleep, or no reading. */
export const GAP_MS = 3_500;

/**
 * The range of the offset: all that moved, and a few of the newest probable errors on both sides.
 * The hard bound is not in it: on a long path it is a hundred times as wide as all that moves. Nor
 * are the wide errors of a clock's first seconds, which would press all later ones flat.
 */
export function limits(samples) {
    const offsets = ofNewestEpoch(samples).map(({ offset }) => offset);
    if (offsets.length === 0) return [-1, 1];
    const errors = FEW * samples.at(-1).estErrorMs;
    const [low, high] = [Math.min(...offsets) - errors, Math.max(...offsets) + errors];
    const room = Math.max((high - low) * 0.12, LEAST_MS);
    return [low - room, high + room];
}

/** What the panel of the hard bound reaches to. */
export function boundLimit(samples, now) {
    const young = ofNewestEpoch(samples).filter(({ at }) => now - at < YOUNG_MS);
    return Math.max(LEAST_MS, ...young.map(({ maxErrorMs }) => maxErrorMs)) * 1.3;
}

/** Of earlier epochs only what fits is shown: they may be hours away. */
function ofNewestEpoch(samples) {
    const epoch = samples.at(-1)?.epoch;
    return samples.filter((sample) => sample.epoch === epoch);
}

/** Samples without a gap or a new epoch between them. */
export function runs(samples) {
    const all = [];
    for (const sample of samples) {
        const last = all.at(-1)?.at(-1);
        if (last && sample.at - last.at < GAP_MS && sample.epoch === last.epoch) {
            all.at(-1).push(sample);
        } else {
            all.push([sample]);
        }
    }
    return all;
}

/** The next larger of 1, 2 and 5 times a power of ten. */
export function nice(size) {
    const power = 10 ** Math.floor(Math.log10(size));
    return power * ([1, 2, 5, 10].find((factor) => factor * power >= size) ?? 10);
}
