/** One trace: what it says in a sentence, drawn twice, and in figures. */

import { byId } from './dom.js';
import { duration, ended, plural } from './format.js';
import { allInWords, counterNames } from './reasons.js';
import { fill } from './tables.js';
import { raw, synchronised, tally, traceOf, widest } from './timeline.js';
import { draw } from './waterfall.js';

export function show(record) {
    const trace = traceOf(record);
    const [sync, system] = [synchronised(trace), raw(trace)];
    const names = namesOf(record, trace);
    byId('trace-title').textContent = titleOf(record);
    byId('verdict').textContent = sentence(record, trace, sync, system);
    byId('sync-caption').textContent = caption(sync, trace.unsynced);
    byId('raw-caption').textContent = rawCaption(system, trace);
    // First, for a chart that is hidden has no width.
    byId('trace-body').hidden = false;
    byId('trace-empty').hidden = true;
    draw(byId('sync-chart'), [{ line: sync, names }]);
    draw(byId('raw-chart'), [{ line: system, names }]);
    fill(record, trace, sync, system);
}

export function showNone(text) {
    byId('trace-title').textContent = 'Trace';
    byId('trace-body').hidden = true;
    byId('trace-empty').textContent = text;
    byId('trace-empty').hidden = false;
}

/** Who stamped, lane by lane. */
export function namesOf(record, trace) {
    return ['client_send', 'server_receive', 'device_receive'].map((key) => {
        const entity = trace.entity(key) ?? '';
        if (entity.startsWith('device:')) return record.device_name;
        return entity.replace(/^server:/, '').slice(0, 8);
    });
}

function titleOf({ command, device_name: device }) {
    return `Trace: ${command} on ${device}`;
}

function sentence(record, trace, sync, system) {
    const parts = [];
    if (record.status === 'ok') {
        const took = trace.pingMs;
        parts.push(took === null ? 'Answered.' : `Answered in ${duration(took)}.`);
    } else if (record.status === 'pending') parts.push('Not answered yet.');
    else parts.push(`Failed: ${ended(record.error?.message || record.status)}`);
    const { clock, cause, unsure, wrong } = tally(sync);
    if (sync.steps.length > 0) {
        const steps = plural(sync.steps.length, 'step');
        let words = `Of ${steps} ${clock} ${clock === 1 ? 'is' : 'are'} certain by clock`;
        if (cause > 0) words += `, ${cause} by cause alone`;
        if (unsure > 0) words += `, ${unsure} ${unsure === 1 ? 'is' : 'are'} uncertain`;
        if (wrong > 0)
            words += `, and ${wrong} certainly ${wrong === 1 ? 'runs' : 'run'} the wrong way`;
        parts.push(`${words}.`);
    }
    for (const reasons of trace.contradictions()) {
        const words = allInWords(reasons, counterNames([[trace, record.device_name]]));
        parts.push(`A contradiction, which counts for nothing: ${words}.`);
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
    const parts = [];
    const missing = Object.keys(unsynced).length;
    if (missing > 0) {
        const reasons = [...new Set(Object.values(unsynced))];
        parts.push(`${plural(missing, 'event')} without time: ${reasons.join('; ')}`);
    }
    const most = widest(sync);
    if (most !== null) parts.push(`each step is right to ± ${duration(most)} or better`);
    if (sync.utcMs !== null) parts.push(`all of it to ± ${duration(sync.utcMs)} against UTC`);
    return parts.join('; ');
}

function rawCaption(system, trace) {
    const wrong = tally(system).wrong;
    if (trace.rawProblems().length === 0) return 'which happen to be in order here';
    return `${plural(wrong, 'step')} seem${wrong === 1 ? 's' : ''} to end before ${wrong === 1 ? 'it begins' : 'they begin'}`;
}
