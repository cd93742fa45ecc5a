/** A trace in figures: where each stamp stands, and how long each step took. */

import { KEYS } from '/static/js/utils/trace.js';
import { byId, element } from './dom.js';
import { allInWords, counterNames } from './reasons.js';
import { NAMES, SIGNS, VERDICTS } from './timeline.js';

/** Fills both tables. */
export function fill(record, trace, sync, system) {
    const names = counterNames([[trace, record.device_name]]);
    byId('step-rows').replaceChildren(...sync.steps.map((step) => stepRow(step, names)));
    byId('stamp-rows').replaceChildren(...KEYS.map((key) => stampRow(key, trace, sync, system)));
}

function stepRow({ from, to, ms, max, est, verdict, restsOn }, names) {
    return element(
        'tr',
        {},
        element('th', { scope: 'row' }, `${NAMES[from.key]} → ${NAMES[to.key]}`),
        number(ms),
        number(max),
        number(est),
        element('td', { 'data-verdict': verdict }, marked(verdict)),
        element('td', { class: 'reason' }, allInWords(restsOn, names)),
    );
}

function stampRow(key, trace, sync, system) {
    const stamp = trace.get(key);
    const name = element('th', { scope: 'row' }, NAMES[key]);
    const by = element('td', {}, trace.entity(key) ?? '–');
    if (stamp === null) {
        return element('tr', {}, name, by, element('td', { colspan: 6 }, 'did not happen'));
    }
    const point = sync.points.find((other) => other.key === key);
    const raw = system.points.find((other) => other.key === key);
    // As the others do, it counts from the first event.
    const rawMs = raw ? raw.ms - system.points[0].ms : null;
    const relative = point
        ? [number(point.ms), number((point.high - point.low) / 2), number(point.est)]
        : [element('td', { colspan: 3, class: 'bad' }, whyNot(stamp))];
    return element(
        'tr',
        {},
        name,
        by,
        ...relative,
        stamp.timeMs === null && point
            ? element('td', { class: 'bad' }, whyNot(stamp))
            : number(stamp.maxErrorMs),
        number(rawMs),
        element('td', { class: 'number' }, String(stamp.epoch ?? '–')),
    );
}

function whyNot({ unsynced }) {
    return unsynced === null ? 'nothing joins its clock to the first' : `no time: ${unsynced}`;
}

/** A verdict with its mark. */
export function marked(verdict) {
    return [SIGNS[verdict], VERDICTS[verdict]].filter((part) => part !== '').join(' ');
}

function number(ms) {
    const text = ms === null ? '–' : ms.toFixed(3).replace('-', '−');
    return element('td', { class: 'number' }, text);
}
