// What happened first, where everybody has a clock of their own: links between counters, and
// relations of moments.

import { Question, ask } from './tape.js';

export { WasmUnavailable } from './tape.js';

export const Order = Object.freeze({
    CERTAINLY_BEFORE: 'certainly_before',
    CERTAINLY_AFTER: 'certainly_after',
    CANNOT_TELL: 'cannot_tell',
});

/** What is not needed any more here is dropped there. */
const dropped = new FinalizationRegistry(([question, number]) =>
    ask(question, (tape) => tape.u32(number)),
);

export class Relations {
    #number;
    #count;

    constructor(moments, links = [], causes = [], { names = [] } = {}) {
        const plain = Array.from(moments, plainMoment);
        this.#count = plain.length;
        const pairs = Array.from(causes, (cause, place) => plainCause(cause, place, plain.length));
        const answer = ask(Question.NEW_RELATIONS, (tape) => {
            tape.list(plain, writeMoment);
            tape.list(
                Array.from(links, (link, place) => plainLink(`links[${place}]`, link)),
                writeLink,
            );
            tape.list(pairs, (tape, [earlier, later]) => tape.u32(earlier).u32(later));
            tape.list(Array.from(names), (tape, name) => tape.text(name));
        });
        this.#number = answer.u32();
        dropped.register(this, [Question.DROP_RELATIONS, this.#number]);
    }

    between(i, j, { evidence = 'all' } = {}) {
        for (const place of [i, j]) {
            if (!isPlace(place, this.#count)) throw new RangeError(`there is no moment ${place}`);
        }
        const byExchanges = isByExchanges(evidence);
        return readRelation(
            ask(Question.BETWEEN, (tape) => tape.u32(byExchanges).u32(this.#number).u32(i).u32(j)),
        );
    }

    get contradictions() {
        const answer = ask(Question.CONTRADICTIONS, (tape) => tape.u32(this.#number));
        return answer.list((answer) => answer.list((answer) => answer.text()));
    }
}

export class Links {
    #number;

    constructor(most = 4096) {
        if (!Number.isInteger(most) || most < 1 || most >= 2 ** 32) {
            throw new TypeError(`most must be 1 or more, not ${most}`);
        }
        this.#number = ask(Question.NEW_LINKS, (tape) => tape.u32(most)).u32();
        dropped.register(this, [Question.DROP_LINKS, this.#number]);
    }

    exchange(a, b, { sentANs, receivedBNs, sentBNs, receivedANs }) {
        const stamps = Object.entries({ sentANs, receivedBNs, sentBNs, receivedANs });
        return this.#ask(Question.EXCHANGE, a, b, stamps).text();
    }

    message(sender, receiver, sentNs, receivedNs) {
        const stamps = Object.entries({ sentNs, receivedNs });
        return this.#ask(Question.MESSAGE, sender, receiver, stamps).text();
    }

    snapshot(a, b, atNs) {
        const answer = this.#ask(Question.SNAPSHOT, a, b, [['atNs', atNs]]);
        return answer.u32() === 0 ? null : readLink(answer);
    }

    difference([a, aNs], [b, bNs], { evidence = 'all' } = {}) {
        const byExchanges = isByExchanges(evidence);
        const readings = [
            ['a', aNs],
            ['b', bNs],
        ];
        return readRelation(this.#ask(Question.DIFFERENCE, a, b, readings, byExchanges));
    }

    pairs(now) {
        const [own, ownNs] = now ?? [];
        const answer = ask(Question.PAIRS, (tape) => tape.u32(this.#number));
        const pairs = answer.list((answer) => ({
            ends: [answer.text(), answer.text()],
            counts: {
                exchanges: answer.f64(),
                messages: answer.f64(),
                restarts: answer.f64(),
            },
            newest: answer.i64(),
        }));
        return pairs.flatMap(({ ends, counts, newest }) => {
            if (newest < 0n) return [];
            const isOwn = own !== undefined && ends.includes(own);
            const at = isOwn ? nanos('now', ownNs) : newest;
            const [a, b] = isOwn && ends[1] === own ? [ends[1], ends[0]] : ends;
            const link = this.snapshot(a, b, at);
            if (link === null) return [];
            // By the counter of what is `a` now.
            const turned = a === ends[0] ? 0n : BigInt(link.b_ns) - BigInt(link.a_ns);
            const age = at - (newest - turned);
            const ageNs = isOwn ? Number(age > 0n ? age : 0n) : null;
            return [{ ...link, ...counts, age_ns: ageNs }];
        });
    }

    #ask(question, a, b, stamps, ...more) {
        for (const name of [a, b]) if (typeof name !== 'string') throw new TypeError(NO_NAME);
        const readings = stamps.map(([name, value]) => nanos(name, value));
        return ask(question, (tape) => {
            tape.u32(this.#number).text(a).text(b);
            for (const reading of readings) tape.i64(reading);
            for (const number of more) tape.u32(number);
        });
    }
}

function isPlace(place, count) {
    return Number.isInteger(place) && place >= 0 && place < count;
}

function isByExchanges(evidence) {
    if (evidence !== 'all' && evidence !== 'exchanges') {
        throw new TypeError(`evidence must be 'all' or 'exchanges', not ${evidence}`);
    }
    return evidence === 'exchanges' ? 1 : 0;
}

/** A counter does not fit a number: a BigInt, or text as messages carry it. */
function nanos(name, value) {
    const text = typeof value === 'string' && /^[0-9]{1,19}$/.test(value);
    const nanos = text ? BigInt(value) : value;
    if (typeof nanos !== 'bigint' || nanos < 0n || nanos > MOST_NS) {
        throw new TypeError(
            `${name} is not a whole number of nanoseconds from 0 to 2**63 - 1, ` +
                `as a BigInt or as text: ${String(value)}`,
        );
    }
    return nanos;
}

function plainMoment(moment, place) {
    const name = `moments[${place}]`;
    const { counter, counterNs, timeNs = null, maxErrorNs = null } = moment;
    if (typeof counter !== 'string') throw new TypeError(`${name}.counter is not text`);
    const known = timeNs !== null && maxErrorNs !== null;
    return {
        counter,
        counterNs: nanos(`${name}.counterNs`, counterNs),
        time: known ? nanos(`${name}.timeNs`, timeNs) : null,
        maxError: known ? nanos(`${name}.maxErrorNs`, maxErrorNs) : null,
    };
}

function writeMoment(tape, { counter, counterNs, time, maxError }) {
    tape.text(counter).i64(counterNs);
    if (time === null) tape.u32(0);
    else tape.u32(1).i64(time).i64(maxError);
}

function plainCause(cause, place, count) {
    const [earlier, later] = cause;
    if (!isPlace(earlier, count) || !isPlace(later, count)) {
        throw new TypeError(
            `cause ${place} is of moments ${earlier} and ${later}, and there are ${count}`,
        );
    }
    return [earlier, later];
}

/** The numbers of a link in their order; infinite and NaN where they are not known. */
function plainLink(name, link) {
    if (link === null || typeof link !== 'object' || Array.isArray(link)) {
        throw new TypeError(`${name} is not an object`);
    }
    const own = (key) => (Object.hasOwn(link, key) ? link[key] : null);
    const number = (key, value, unknown) => {
        if (value === null || value === undefined) return unknown;
        if (typeof value !== 'number') throw new TypeError(`${name}.${key} is not a number`);
        if (!Number.isFinite(value)) throw new TypeError(`${name}.${key} is out of range`);
        return value;
    };
    const two = (key, mayLack, unknown) => {
        const values = own(key) ?? (mayLack ? [null, null] : null);
        if (!Array.isArray(values) || values.length !== 2 || (!mayLack && values.includes(null))) {
            throw new TypeError(`${name}.${key} is not two numbers`);
        }
        return values.map((value, place) => number(key, value, unknown[place]));
    };
    const text = (key) => {
        const value = own(key);
        const length = typeof value === 'string' ? [...value].length : 0;
        if (length < 1 || length > NAME_CHARS) {
            throw new TypeError(`${name}.${key} is not text of 1 to ${NAME_CHARS} characters`);
        }
        return value;
    };
    const reading = (key) => {
        const value = own(key);
        if (typeof value !== 'string' || !/^[0-9]{1,19}$/.test(value)) {
            throw new TypeError(`${name}.${key} is not text of a whole number of nanoseconds`);
        }
        return nanos(`${name}.${key}`, value);
    };
    return {
        ends: [text('a'), text('b')],
        readings: [reading('a_ns'), reading('b_ns')],
        numbers: [
            number('lower_ns', own('lower_ns'), -Infinity),
            number('upper_ns', own('upper_ns'), Infinity),
            number('est_ns', own('est_ns'), NaN),
            number('est_error_ns', own('est_error_ns'), 0),
            ...two('rate_ppb', false, [NaN, NaN]),
            number('round_trip_ns', own('round_trip_ns'), Infinity),
            ...two('exchanges_ns', true, [-Infinity, Infinity]),
        ],
    };
}

function writeLink(tape, { ends, readings, numbers }) {
    for (const end of ends) tape.text(end);
    for (const reading of readings) tape.i64(reading);
    for (const number of numbers) tape.f64(number);
}

function readLink(answer) {
    const [a, b] = [answer.text(), answer.text()];
    const [aNs, bNs] = [answer.i64(), answer.i64()].map(String);
    const known = () => {
        const number = answer.f64();
        return Number.isFinite(number) ? number : null;
    };
    const [lower, upper, estimate, error, low, high, trip, least, most] = Array.from(
        { length: 9 },
        known,
    );
    return {
        a,
        b,
        a_ns: aNs,
        b_ns: bNs,
        lower_ns: lower,
        upper_ns: upper,
        est_ns: estimate,
        est_error_ns: estimate === null ? null : error,
        rate_ppb: [low, high],
        round_trip_ns: trip,
        exchanges_ns: [least, most],
    };
}

function readRelation(answer) {
    const [order, by] = [answer.text(), answer.text()];
    const [lowerMs, upperMs, estMs, estErrorMs] = Array.from({ length: 4 }, () => {
        const ns = answer.f64();
        return Number.isNaN(ns) ? null : ns / 1e6;
    });
    const restsOn = answer.list((answer) => answer.text());
    return { order, by: by || null, lowerMs, upperMs, estMs, estErrorMs, restsOn };
}

const MOST_NS = 2n ** 63n - 1n;
const NAME_CHARS = 256;
const NO_NAME = "a counter's name is text";
