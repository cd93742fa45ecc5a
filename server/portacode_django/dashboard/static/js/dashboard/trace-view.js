/** One trace: what it says in a sentence, drawn twice, and its stamps as a table. */

import { KEYS, Order } from '/static/js/utils/trace.js';
import { byId, element } from './dom.js';
import { duration, ended, plural } from './format.js';
import { NAMES, raw, synchronised, tally, traceOf } from './timeline.js';
import { draw } from './waterfall.js';

const ORDERS = {
    [Order.CERTAINLY_BEFORE]: 'certainly',
    [Order.CERTAINLY_AFTER]: '✗ certainly before it',
    [Order.CANNOT_TELL]: '≈ cannot tell',
};

export function show(record) {
    const trace = traceOf(record);
    const [sync, system] = [synchronised(trace), raw(trace)];
    const names = ['client_send', 'server_receive', 'device_receive'].map((key) =>
        nameOf(trace, key, record),
    );
    byId('trace-title').textContent = `Trace: ${record.command} on ${record.device_name}`;
    byId('verdict').textContent = sentence(record, trace, sync, system);
    byId('sync-caption').textContent = caption(sync, trace.unsynced);
    byId('raw-caption').textContent = rawCaption(system, trace);
    // First, for a chart that is hidden has no width.
    byId('trace-body').hidden = false;
    byId('trace-empty').hidden = true;
    draw(byId('sync-chart'), sync, names);
    draw(byId('raw-chart'), system, names);
    byId('stamp-rows').replaceChildren(...rows(trace, sync, system));
}

export function showNone(text) {
    byId('trace-title').textContent = 'Trace';
    byId('trace-body').hidden = true;
    byId('trace-empty').textContent = text;
    byId('trace-empty').hidden = false;
}

function nameOf(trace, key, record) {
    const entity = trace.entity(key) ?? '';
    if (entity.startsWith('device:')) return record.device_name;
    return entity.replace(/^server:/, '').slice(0, 8);
}

function sentence(record, trace, sync, system) {
    const parts = [];
    if (record.status === 'ok') {
        const took = trace.pingMs;
        parts.push(took === null ? 'Answered.' : `Answered in ${duration(took)}.`);
    } else if (record.status === 'pending') parts.push('Not answered yet.');
    else parts.push(`Failed: ${ended(record.error?.message || record.status)}`);
    const { sure, unsure, wrong } = tally(sync);
    if (sync.steps.length > 0) {
        let told = `By synchronised clocks ${sure} of ${plural(sync.steps.length, 'step')} certainly follow${sure === 1 ? 's' : ''} the one before`;
        if (unsure > 0) told += `, ${unsure} cannot be told apart`;
        told += wrong > 0 ? `, and ${wrong} certainly run the wrong way.` : '.';
        parts.push(told);
        // What a newcomer sees first, before the second and third round of each clock.
        if (unsure > 0)
            parts.push('The bounds of a clock that has just started shrink within half a minute.');
    }
    const problems = trace.rawProblems();
    if (problems.length > 0) {
        const most = Math.max(...problems.map(({ byMs }) => byMs));
        const steps = tally(system).wrong;
        parts.push(
            `The system clocks would have ${plural(steps, 'step')} run backwards, by up to ${duration(most)}.`,
        );
    }
    return parts.join(' ');
}

function caption(sync, unsynced) {
    const reasons = [...new Set(Object.values(unsynced))];
    const missing = Object.keys(unsynced).length;
    if (missing > 0) return `${plural(missing, 'event')} without time: ${reasons.join('; ')}`;
    const widest = Math.max(0, ...sync.points.map(({ max }) => max));
    return `each stamp is right to ± ${duration(widest)} or better`;
}

function rawCaption(system, trace) {
    const wrong = tally(system).wrong;
    if (trace.rawProblems().length === 0) return 'which happen to be in order here';
    return `${plural(wrong, 'step')} seem${wrong === 1 ? 's' : ''} to end before ${wrong === 1 ? 'it begins' : 'they begin'}`;
}

function rows(trace, sync, system) {
    let before = null;
    return KEYS.map((key) => {
        const stamp = trace.get(key);
        const name = element('th', { scope: 'row' }, NAMES[key]);
        const by = element('td', {}, trace.entity(key) ?? '–');
        const number = (text) => element('td', { class: 'number' }, text);
        if (stamp === null) {
            return element('tr', {}, name, by, element('td', { colspan: 6 }, 'did not happen'));
        }
        const rawText =
            stamp.rawMs === null
                ? '–'
                : signed(stamp.rawMs - system.zero + rawShift(trace, system));
        if (stamp.timeMs === null) {
            const why = element(
                'td',
                { colspan: 4, class: 'reason' },
                `no time: ${stamp.unsynced}`,
            );
            return element('tr', {}, name, by, why, number(rawText), number('–'));
        }
        const order = before === null ? '' : ORDERS[trace.order(before, key)];
        before = key;
        return element(
            'tr',
            {},
            name,
            by,
            number((stamp.timeMs - sync.zero).toFixed(3)),
            number(stamp.maxErrorMs?.toFixed(3) ?? '–'),
            number(stamp.estErrorMs?.toFixed(3) ?? '–'),
            element('td', {}, order),
            number(rawText),
            number(String(stamp.epoch ?? '–')),
        );
    });
}

/** So that the table's raw times count from the first event, as its others do. */
function rawShift(trace, system) {
    const first = system.points[0];
    return first ? -first.ms : 0;
}

function signed(ms) {
    return ms.toFixed(3).replace('-', '−');
}
