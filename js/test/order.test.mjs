// Order between clocks: the vectors that Rust and Python read too, and links.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Links, Order, Relations } from '../../portacode/static/js/utils/order.js';

const MS = 1_000_000n;
const vectors = new URL('../../tests/vectors/order-relations.json', import.meta.url);

/** Within what is rounded on the way. */
function close(found, expected) {
    if (found === null || expected === null) return found === expected;
    return Math.abs(found - expected) <= 5e-6;
}

for (const vector of JSON.parse(readFileSync(vectors)).cases) {
    test(`relations: ${vector.name}`, () => {
        const moments = vector.moments.map((moment) => ({
            counter: moment.counter,
            counterNs: moment.counter_ns,
            timeNs: moment.time_ns,
            maxErrorNs: moment.max_error_ns,
        }));
        const made = () =>
            new Relations(moments, vector.links, vector.causes, { names: vector.names ?? [] });
        if (vector.error) {
            assert.throws(
                made,
                (error) => error instanceof TypeError && error.message.startsWith(vector.error),
            );
            return;
        }
        const relations = made();
        assert.deepEqual(relations.contradictions, vector.contradictions);
        for (const {
            i,
            j,
            evidence,
            order,
            by,
            lower_ms,
            upper_ms,
            rests_on,
        } of vector.relations) {
            const found = relations.between(i, j, { evidence });
            const expected = { order, by, restsOn: rests_on };
            assert.deepEqual(
                { order: found.order, by: found.by, restsOn: found.restsOn },
                expected,
            );
            assert.ok(close(found.lowerMs, lower_ms), `${found.lowerMs} ${lower_ms}`);
            assert.ok(close(found.upperMs, upper_ms), `${found.upperMs} ${upper_ms}`);
        }
    });
}

/** `b` is so much ahead of `a`, and each way takes 0.1 ms. */
function exchange(links, at, ahead, a = 'a', b = 'b') {
    return links.exchange(a, b, {
        sentANs: at,
        receivedBNs: at + MS / 10n + ahead,
        sentBNs: at + MS / 10n + ahead,
        receivedANs: String(at + MS / 5n),
    });
}

test('moments of two counters are ordered by an exchange, also over a third one', () => {
    const links = new Links();
    assert.equal(exchange(links, 5n * MS, 70n * MS), 'kept');
    const found = links.difference(['a', 6n * MS], ['b', String(77n * MS)]);
    assert.equal(found.order, Order.CERTAINLY_BEFORE);
    assert.equal(found.by, 'clock');
    assert.deepEqual(found.restsOn, ['link a-b']);
    assert.ok(0.85 < found.lowerMs && found.lowerMs < found.estMs && found.estMs < found.upperMs);
    assert.ok(found.upperMs < 1.15 && found.estErrorMs > 0);
    exchange(links, 80n * MS, 3n * MS, 'b', 'c');
    assert.deepEqual(links.difference(['c', 83n * MS], ['a', 6n * MS]).restsOn, [
        'link c-b',
        'link a-b',
    ]);
    const nothing = { order: Order.CANNOT_TELL, by: null, lowerMs: null, upperMs: null };
    const unknown = links.difference(['a', 5n], ['d', 5n]);
    assert.deepEqual(unknown, { ...nothing, estMs: null, estErrorMs: null, restsOn: [] });
});

test('a snapshot crosses as JSON, and relations take it', () => {
    const links = new Links();
    assert.equal(links.snapshot('a', 'b', 5n), null);
    exchange(links, 5n * MS, 70n * MS);
    const link = links.snapshot('b', 'a', 75n * MS);
    assert.deepEqual(JSON.parse(JSON.stringify(link)), link);
    assert.equal(link.round_trip_ns, 200_000);
    const moments = [
        { counter: 'a', counterNs: 6n * MS },
        { counter: 'b', counterNs: 77n * MS },
    ];
    const found = new Relations(moments, [link]).between(0, 1);
    assert.equal(found.order, Order.CERTAINLY_BEFORE);
    assert.deepEqual(found.restsOn, ['link b-a']);
});

test('pairs say how each link stands', () => {
    const links = new Links(2);
    exchange(links, 5n * MS, 70n * MS, 'hub', 'b');
    exchange(links, 9n * MS, 3n * MS, 'a', 'hub');
    const pairs = links.pairs(['hub', 80n * MS]);
    const ends = pairs.map(({ a, b, exchanges, messages, restarts }) => [
        a,
        b,
        exchanges,
        messages,
        restarts,
    ]);
    assert.deepEqual(ends, [
        ['hub', 'a', 1, 0, 0],
        ['hub', 'b', 1, 0, 0],
    ]);
    for (const [place, age] of [67.8, 74.8].entries()) {
        assert.ok(Math.abs(pairs[place].age_ns / 1e6 - age) < 0.2, `${pairs[place].age_ns}`);
    }
    assert.deepEqual(
        links.pairs().map(({ age_ns }) => age_ns),
        [null, null],
    );
    links.message('hub', 'c', 1n, 2n);
    assert.deepEqual(
        links.pairs().map(({ b }) => b),
        ['hub', 'hub'],
    );
});

test('what is no counter, no stamp and no moment is refused', () => {
    const links = new Links();
    for (const bad of [5, -1n, 2n ** 63n, '5.0', '', null, undefined]) {
        assert.throws(() => links.message('a', 'b', bad, 5n), /sentNs is not a whole number/);
    }
    assert.throws(() => links.message('a', 5, 1n, 5n), /name is text/);
    assert.throws(() => links.message('', 'b', 1n, 5n), /1 to 256 characters, not 0/);
    assert.throws(() => exchange(links, 5n * MS, 0n, 'a', 'a'), /both names are the same/);
    assert.throws(() => new Links(0), /most must be 1 or more/);
    assert.throws(() => new Relations([{ counter: 5, counterNs: 5n }]), /counter is not text/);
    const one = new Relations([{ counter: 'a', counterNs: 5n }]);
    assert.throws(() => one.between(0, 1), RangeError);
    assert.throws(() => one.between(0, 0, { evidence: 'some' }), /evidence must be/);
});

test('many relations are made and forgotten without a limit on them', () => {
    const moments = [{ counter: 'a'.repeat(200), counterNs: 5n }];
    for (let i = 0; i < 20_000; i++) new Relations(moments);
    assert.deepEqual(new Relations(moments).contradictions, []);
});
