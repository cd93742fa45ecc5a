// The first reading of a program that was busy starting.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { glue } from './otel-glue.mjs';
import { pause } from './support.mjs';

const { Dates } = await glue('dates.js');

/** A clock whose readings have the error that the test says, or that has none yet. */
function clockWith(t) {
    const events = new EventTarget();
    const clock = {
        errorMs: null,
        at: (ms) =>
            clock.errorMs === null
                ? null
                : {
                      timeMs: 1.9e12 + ms + clock.errorMs,
                      maxErrorMs: clock.errorMs + 1,
                      estErrorMs: clock.errorMs,
                      epoch: 1,
                  },
        read: () => clock.at(performance.now()),
        stamp: () => ({ counter: '0'.repeat(16), resolutionNs: 5000 }),
        getStatus: () => ({ server: 'test' }),
        addEventListener: (...args) => events.addEventListener(...args),
        replies: (errorMs) => {
            clock.errorMs = errorMs;
            events.dispatchEvent(new Event('sync'));
        },
    };
    const dates = new Dates(clock);
    t.after(() => dates.close());
    let calls = 0;
    dates.whenSynchronised(() => (calls += 1));
    return { clock, dates, calls: () => calls };
}

test('a first reading that is far off dates nothing when a better one follows', async (t) => {
    const { clock, dates, calls } = clockWith(t);
    const moment = performance.now();
    assert.equal(dates.synchronised, false);
    clock.replies(250);
    assert.equal(dates.synchronised, false);
    assert.equal(calls(), 0);
    await pause(60);
    clock.replies(10);
    assert.equal(dates.synchronised, true);
    assert.equal(calls(), 1);
    assert.ok(dates.moment(moment).maxErrorMs < 20);
});

test('where no better reading follows within a second, the first one dates', async (t) => {
    const { clock, dates, calls } = clockWith(t);
    clock.replies(250);
    assert.equal(dates.synchronised, false);
    await pause(2100);
    assert.equal(dates.synchronised, true);
    assert.equal(calls(), 1);
    assert.ok(dates.moment(performance.now()).maxErrorMs > 250);
});
