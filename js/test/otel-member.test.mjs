// What two programs say of their counters: the vectors of all languages.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
    formatAnswer,
    formatMember,
    memberOf,
    parseAnswer,
    parseMember,
    withMember,
} from '../otel/member.js';
import { ROOT } from './support.mjs';

const { cases } = JSON.parse(readFileSync(join(ROOT, 'tests/vectors/otel-exchange.json'), 'utf8'));

const fields = {
    member(value) {
        const found = parseMember(value);
        if (found === null) return null;
        assert.equal(formatMember(found), value, 'it is written as it was read');
        const { counter, sentNs, exchange } = found;
        return {
            counter,
            sent_ns: String(sentNs),
            exchange: exchange && {
                counter: exchange.peer,
                sent_ns: String(exchange.t1),
                received_ns: String(exchange.t2),
                answered_ns: String(exchange.t3),
                returned_ns: String(exchange.t4),
            },
        };
    },
    header(value) {
        const found = parseAnswer(value);
        if (found === null) return null;
        assert.equal(formatAnswer(found), value, 'it is written as it was read');
        const { counter, t1, t2, t3 } = found;
        return {
            counter,
            sent_ns: String(t1),
            received_ns: String(t2),
            answered_ns: String(t3),
        };
    },
};

for (const { name, ...given } of cases) {
    test(`exchange: ${name}`, () => {
        if ('tracestate' in given) {
            assert.equal(memberOf(given.tracestate), given.member_of_it);
        } else if ('before' in given) {
            assert.equal(withMember(given.before, given), given.becomes);
        } else {
            const what = 'member' in given ? 'member' : 'header';
            assert.deepEqual(fields[what](given[what]), given.outcome);
        }
    });
}
