/**
 * Two traces laid over one another: both waterfalls on one axis, by how their first stamps stand to
 * one another, and the order of any two of their stamps. The server tells both: it keeps the links.
 */

import { KEYS, Order } from '/static/js/utils/trace.js';
import { byId, element } from './dom.js';
import { duration } from './format.js';
import { allInWords, counterNames } from './reasons.js';
import { NAMES, SIGNS, asShown, synchronised, timeOfTrace, traceOf } from './timeline.js';
import { namesOf } from './trace-view.js';
import { draw } from './waterfall.js';

export class Pair {
    #records = null;
    #asked = 0;
    #place = null;

    constructor() {
        for (const id of ['pair-first', 'pair-second'])
            byId(id).addEventListener('change', () => this.#tell());
    }

    /** The two traces; without a second one, nothing is shown. */
    show(first, second) {
        const same = (one, other) => one === this.#records?.[other];
        if (same(first, 0) && same(second, 1)) return;
        this.#records =
            first && second && first.request_id !== second.request_id ? [first, second] : null;
        byId('pair').hidden = this.#records === null;
        this.#place = null;
        if (this.#records === null) return;
        for (const [index, id] of ['pair-first', 'pair-second'].entries())
            this.#choices(id, this.#records[index]);
        this.#put();
        this.#tell();
    }

    /** For the width that there is now. */
    redraw() {
        if (this.#place !== null) this.#draw();
    }

    #choices(id, record) {
        const select = byId(id);
        const chosen = select.value;
        const trace = traceOf(record);
        const there = KEYS.filter((key) => trace.get(key) !== null);
        select.replaceChildren(
            ...there.map((key) => element('option', { value: key }, NAMES[key])),
        );
        if (there.includes(chosen)) select.value = chosen;
        const label = document.querySelector(`label[for=${id}]`);
        label.textContent = `Of ${nameOf(record)}`;
    }

    /** Where the second trace stands to the first. */
    async #put() {
        const records = this.#records;
        const chart = byId('pair-chart');
        const firsts = records.map((record) => synchronised(traceOf(record)).points[0]?.key);
        chart.replaceChildren();
        byId('pair-caption').textContent = 'asking the server…';
        try {
            if (firsts.includes(undefined)) throw new Error('one of them has no stamp to draw');
            const relation = await orderOf(records, firsts);
            if (records !== this.#records) return;
            if (relation.max === null) throw new Error('nothing joins their clocks');
            this.#place = relation;
            this.#draw();
            const { ms, max } = relation;
            const when = ms < 0 ? 'before' : 'after';
            byId('pair-caption').textContent =
                `the second begins ${duration(Math.abs(ms))} ± ${duration(max)} ${when} the first`;
        } catch (error) {
            if (records !== this.#records) return;
            byId('pair-caption').textContent = `cannot be drawn: ${error.message}`;
        }
    }

    #draw() {
        const layers = this.#records.map((record) => {
            const trace = traceOf(record);
            return { line: synchronised(trace), names: namesOf(record, trace) };
        });
        layers[1].place = this.#place;
        draw(byId('pair-chart'), layers);
    }

    async #tell() {
        const records = this.#records;
        const asked = (this.#asked += 1);
        const keys = ['pair-first', 'pair-second'].map((id) => byId(id).value);
        const output = byId('pair-order');
        try {
            const relation = await orderOf(records, keys);
            if (asked !== this.#asked) return;
            output.textContent = inWords(relation, records, keys);
        } catch (error) {
            if (asked === this.#asked) output.textContent = `No answer: ${error.message}`;
        }
    }
}

/** The server's verdict on two stamps of two traces. */
async function orderOf(records, keys) {
    const [a, b] = records.map(({ request_id: id }, index) => `${id}:${keys[index]}`);
    const answer = await fetch(`/api/order/?${new URLSearchParams({ a, b })}`);
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error?.message ?? `the server answers ${answer.status}`);
    return asShown({
        order: body.order,
        by: body.by,
        lowerMs: body.lower_ms,
        upperMs: body.upper_ms,
        estMs: body.est_ms,
        estErrorMs: body.est_error_ms,
        restsOn: body.rests_on,
    });
}

function inWords({ ms, low, high, verdict, order, by, restsOn }, records, keys) {
    const names = counterNames(records.map((record) => [traceOf(record), record.device_name]));
    const [one, other] = keys.map((key, index) => `“${NAMES[key]}” of ${nameOf(records[index])}`);
    const apart = low === null || high === null ? '' : ` ${distance(low, high, ms)}`;
    const why = restsOn.length > 0 ? ` Rests on: ${allInWords(restsOn, names)}.` : '';
    if (verdict === 'unsure') return `${SIGNS.unsure} Cannot tell: ${one}, ${other}.${apart}${why}`;
    const [first, then] = order === Order.CERTAINLY_BEFORE ? [one, other] : [other, one];
    return `${first} came first, then ${then}: certain by ${by}.${apart}${why}`;
}

function distance(low, high, ms) {
    const [ends, guess] = [[low, high].map(Math.abs).map(duration), duration(Math.abs(ms))];
    if (low < 0 && high > 0) return `The second was up to ${ends[0]} earlier or ${ends[1]} later.`;
    const [least, most] = low < 0 ? ends.reverse() : ends;
    return `Between them lie ${least} to ${most}, at best guess ${guess}.`;
}

function nameOf(record) {
    return `${record.command} on ${record.device_name} at ${timeOfTrace(record, traceOf(record))}`;
}
