// The history in JavaScript: the vectors of all languages, through the module's own glue.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './support.mjs';
import { glue } from './otel-glue.mjs';

const { cases } = JSON.parse(readFileSync(join(ROOT, 'tests/vectors/otel-history.json'), 'utf8'));
const { History } = await glue('history.js');

const big = (value) => (value === null || value === undefined ? undefined : BigInt(value));
const counterOf = (name) => BigInt.asIntN(64, BigInt(`0x${name}`));
const nameOf = (counter) => BigInt.asUintN(64, counter).toString(16).padStart(16, '0');
const reading = (given) =>
    given && {
        timeNs: BigInt(given.time_ns),
        maxErrorNs: BigInt(given.max_error_ns),
        estErrorNs: BigInt(given.est_error_ns),
        epoch: given.epoch,
    };
const fields = (dated) =>
    dated && {
        time_ns: String(dated.timeNs),
        max_error_ns: String(dated.maxErrorNs),
        est_error_ns: String(dated.estErrorNs),
        epoch: dated.epoch,
    };
const end = ({ counter, counterNs }) => ({
    counter: nameOf(counter),
    counter_ns: String(counterNs),
});

for (const { name, samples, clock, asks } of cases) {
    test(`history: ${name}`, () => {
        const history = new History();
        for (const sample of samples) {
            history.sample({
                counterNs: BigInt(sample.counter_ns),
                widthNs: BigInt(sample.width_ns),
                systemNs: BigInt(sample.system_ns),
                resolutionNs: BigInt(sample.resolution_ns),
                counter: counterOf(sample.counter),
                reading: reading(sample.reading),
            });
        }
        const at = (counterNs) => {
            if (!clock || counterNs < BigInt(clock.from_ns)) return null;
            const passed = counterNs - BigInt(clock.counter_ns);
            const known = reading(clock);
            return { ...known, timeNs: known.timeNs + passed };
        };
        for (const ask of asks) {
            const window = {
                notBeforeNs: big(ask.not_before_ns),
                notAfterNs: big(ask.not_after_ns),
            };
            const traced = history.trace(BigInt(ask.system_ns), BigInt(ask.resolution_ns), window);
            const found = traced && {
                earliest: end(traced.earliest),
                latest: end(traced.latest),
                ambiguous: traced.ambiguous,
            };
            assert.deepEqual(found, ask.traced ?? null);
            assert.deepEqual(fields(traced && history.date(traced, at)), ask.dated ?? null);
        }
    });
}

test('the memory of a history that is full stays as it is', () => {
    const history = new History();
    const sample = (place) =>
        history.sample({
            counterNs: BigInt(place) * 50_000_000n,
            widthNs: 1000n,
            systemNs: BigInt(place) * 50_000_000n + 1_700_000_000_000_000_000n,
            resolutionNs: 1_000_000n,
            counter: 1n,
        });
    for (let place = 0; place < 10_000; place += 1) sample(place);
    const { bytes } = history;
    for (let place = 10_000; place < 50_000; place += 1) sample(place);
    assert.equal(history.bytes, bytes);
    assert.ok(history.size <= 4096);
    assert.ok(bytes <= 2 * 1024 * 1024, `${bytes} bytes`);
});
