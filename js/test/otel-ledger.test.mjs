// Times that stay what they were while the clock corrects itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../otel/ledger.js';

/** A clock that is off by `offMs`, and states that error. */
const clock = (offMs) => (ms) =>
    ms < 0
        ? null
        : { timeMs: 1e12 + ms + offMs, maxErrorMs: Math.abs(offMs) + 1, estErrorMs: 1, epoch: 1 };

test('a moment has the same time after the clock has corrected itself, and the error covers the truth', () => {
    const ledger = new Ledger();
    const before = ledger.reading(9_000, 10_000, clock(20));
    assert.equal(ledger.reading(20_000, 20_000, clock(2)).timeMs, 1e12 + 20_002);
    const again = ledger.reading(9_000, 20_000, clock(2));
    assert.equal(again.timeMs, before.timeMs);
    for (const { timeMs, maxErrorMs } of [before, again]) {
        assert.ok(Math.abs(timeMs - (1e12 + 9_000)) <= maxErrorMs);
    }
});

test('times never go back with moments, whatever the clock says in between', () => {
    const ledger = new Ledger();
    const times = [];
    for (let ms = 0; ms < 60_000; ms += 17) {
        const off = Math.sin(ms) * 30;
        const { timeMs, maxErrorMs } = ledger.reading(ms, ms, clock(off));
        assert.ok(Math.abs(timeMs - (1e12 + ms)) <= maxErrorMs, `${ms} ms`);
        times.push([ms, timeMs]);
    }
    for (let place = 1; place < times.length; place += 1) {
        assert.ok(times[place][1] >= times[place - 1][1]);
    }
    for (const [ms, timeMs] of times.slice(0, -1)) {
        const { timeMs: again } = ledger.reading(ms, 60_000, clock(0));
        assert.ok(Math.abs(again - timeMs) < 0.01, `${ms} ms: ${again - timeMs}`);
    }
});
