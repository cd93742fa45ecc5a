// What the test page's plot shows of its samples.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundLimit, limits, runs } from '../page/scale.js';

/** A clock on a path of 10 ms: a bound of 18 ms, a probable error of 60 µs, an offset that moves. */
const samples = Array.from({ length: 120 }, (_, second) => ({
    at: second * 1000,
    offset: 4 + Math.sin(second / 20) * 0.05,
    maxErrorMs: 18,
    estErrorMs: second < 10 ? 3 : 0.06,
    epoch: 1,
}));

test('the plot scales to what moves and a few probable errors, however wide the hard bound is', () => {
    const [low, high] = limits(samples);
    const offsets = samples.map(({ offset }) => offset);
    const moved = Math.max(...offsets) - Math.min(...offsets);
    assert.ok(low < Math.min(...offsets) - 0.06 && high > Math.max(...offsets) + 0.06);
    assert.ok(high - low < moved + 10 * 0.06, `${low} to ${high}`);
});

test('the hard bound has a scale of its own, of the newest samples', () => {
    const first = { ...samples[0], at: -60_000, maxErrorMs: 900 };
    const most = boundLimit([first, ...samples], 119_500);
    assert.ok(most > 18 && most < 30, String(most));
});

test('without a sample, and with samples that all are alike, there is still a scale', () => {
    assert.deepEqual(limits([]), [-1, 1]);
    const alike = samples.slice(0, 3).map((sample) => ({ ...sample, offset: 1, estErrorMs: 0 }));
    const [low, high] = limits(alike);
    assert.ok(low < 1 && high > 1);
    assert.ok(boundLimit([{ ...alike[0], maxErrorMs: 0 }], 0) > 0);
});

test('sleep and an epoch part the line', () => {
    const parts = [0, 1000, 9000, 10_000].map((at) => ({ ...samples[0], at }));
    parts[3].epoch = 2;
    assert.deepEqual(
        runs(parts).map((run) => run.map(({ at }) => at)),
        [[0, 1000], [9000], [10_000]],
    );
});
