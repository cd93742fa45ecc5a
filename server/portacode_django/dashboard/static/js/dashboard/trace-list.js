/** The newest traces, filtered; one of them is chosen. */

import { byId, element } from './dom.js';
import { duration, plural } from './format.js';
import { SIGNS, raw, synchronised, tally, timeOfTrace, traceOf, widest } from './timeline.js';
import { strip } from './waterfall.js';

const PAGE = 50;
const MOST = 200;

export class TraceList extends EventTarget {
    #list = byId('traces');
    #empty = byId('traces-empty');
    #project;
    #records = [];
    #rows = new Map();
    #chosen = null;
    #over = null;
    #loaded = false;
    #asked = 0;

    constructor(project) {
        super();
        this.#project = project;
        const filters = byId('filters');
        filters.addEventListener('input', () => this.load());
        filters.addEventListener('submit', (event) => event.preventDefault());
        byId('more').addEventListener('click', () => this.#older());
        this.#list.addEventListener('keydown', (event) => this.#move(event));
    }

    get records() {
        return this.#records;
    }

    /** Fetches the traces that fit the filters, again. */
    async load() {
        const asked = (this.#asked += 1);
        this.#say(this.#loaded ? '' : 'Loading traces…');
        try {
            const found = await this.#fetch();
            if (asked !== this.#asked) return;
            this.#loaded = true;
            this.#records = found;
            byId('more').hidden = found.length < PAGE;
            this.#render();
        } catch (error) {
            if (asked !== this.#asked) return;
            this.#say(`Traces cannot be loaded: ${error.message}`);
            this.dispatchEvent(new CustomEvent('failed', { detail: error }));
        }
    }

    /** A trace that has just been finished. */
    add(record) {
        if (!this.#loaded || !this.#fits(record)) return;
        const known = this.#records.findIndex((other) => other.request_id === record.request_id);
        if (known >= 0) {
            this.#records[known] = record;
            const row = this.#row(record);
            this.#rows.get(record.request_id)?.replaceWith(row);
            this.#rows.set(record.request_id, row);
        } else {
            this.#records.unshift(record);
            const row = this.#row(record);
            this.#rows.set(record.request_id, row);
            this.#list.prepend(row);
            for (const old of this.#records.splice(MOST)) {
                this.#rows.get(old.request_id)?.remove();
                this.#rows.delete(old.request_id);
            }
        }
        this.#say('');
        this.#count();
        this.#changed();
    }

    choose(record) {
        this.#chosen = record?.request_id ?? null;
        this.#press();
    }

    /** The trace that is laid over the chosen one; null for none. */
    layOver(record) {
        this.#over = record?.request_id ?? null;
        this.#press();
    }

    async #older() {
        const last = this.#records.at(-1);
        if (!last) return;
        const found = await this.#fetch(last.request_id).catch(() => []);
        byId('more').hidden = found.length < PAGE || this.#records.length + found.length >= MOST;
        for (const record of found) {
            this.#records.push(record);
            const row = this.#row(record);
            this.#rows.set(record.request_id, row);
            this.#list.append(row);
        }
        this.#count();
        this.#changed();
    }

    async #fetch(before = '') {
        const query = new URLSearchParams({ limit: PAGE });
        const { device, ms, problem } = this.#filters();
        if (device) query.set('device', device);
        if (ms > 0) query.set('min_ms', ms);
        if (problem) query.set('problem', problem);
        if (before) query.set('before', before);
        if (this.#project) query.set('project', this.#project);
        const answer = await fetch(`/api/traces/?${query}`);
        if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
        return (await answer.json()).traces;
    }

    #filters() {
        return {
            device: byId('filter-device').value,
            ms: Number(byId('filter-ms').value) || 0,
            problem: byId('filter-problem').value,
        };
    }

    /** As the server's own filters. */
    #fits(record) {
        const { device, ms, problem } = this.#filters();
        if (device && record.device_id !== device) return false;
        if (ms > 0 && !(record.ping_ms >= ms)) return false;
        const failed = record.status !== 'ok';
        const tests = {
            order: record.problems > 0,
            raw: record.raw_problems > 0,
            unsynced: record.unsynced > 0,
            incomplete: !record.complete,
            any: record.problems > 0 || record.unsynced > 0 || !record.complete || failed,
        };
        return problem ? tests[problem] : true;
    }

    #render() {
        this.#rows.clear();
        for (const record of this.#records) this.#rows.set(record.request_id, this.#row(record));
        this.#list.replaceChildren(...this.#rows.values());
        if (this.#records.length === 0) this.#say(this.#whyEmpty());
        else this.#say('');
        this.#count();
        this.#changed();
    }

    #whyEmpty() {
        const { device, ms, problem } = this.#filters();
        if (device || ms > 0 || problem) return 'No trace fits these filters.';
        return 'No traces yet. Ask a device something, and its trace appears here.';
    }

    #row(record) {
        const trace = traceOf(record);
        const [sync, system] = [synchronised(trace), raw(trace)];
        const { unsure, cause, wrong } = tally(sync);
        const error = widest(sync);
        const flags = [];
        if (record.status !== 'ok') flags.push(['bad', record.error?.code ?? record.status]);
        if (wrong > 0) flags.push(['bad', `${SIGNS.wrong} ${wrong} wrong`]);
        if (record.unsynced > 0) flags.push(['bad', `${record.unsynced} without time`]);
        if (unsure > 0) flags.push(['unsure', `${SIGNS.unsure} ${unsure}`]);
        if (cause > 0) flags.push(['cause', `${SIGNS.cause} ${cause}`]);
        if (error !== null) flags.push(['', `± ${duration(error)}`]);
        const backwards = tally(system).wrong;
        if (backwards > 0) flags.push(['', `raw: ${backwards} backwards`]);
        const said = element('span', { class: 'flags' });
        for (const [index, [tone, text]] of flags.entries()) {
            if (index > 0) said.append(' · ');
            said.append(element('span', { class: tone }, text));
        }
        const button = element(
            'button',
            { type: 'button', class: 'trace-row', 'aria-pressed': 'false' },
            element('span', { class: 'when' }, timeOfTrace(record, trace)),
            element('span', { class: 'what' }, `${record.command} · ${record.device_name}`),
            element('span', { class: 'number' }, duration(record.ping_ms)),
            strip(sync),
            strip(system),
            said,
        );
        const title = `${record.command} on ${record.device_name} at ${timeOfTrace(record, trace)}`;
        const over = element(
            'button',
            {
                type: 'button',
                class: 'lay-over',
                'aria-pressed': 'false',
                'aria-label': `Lay over the trace shown: ${title}`,
                title: 'Lay over the trace shown',
            },
            'Lay over',
        );
        button.addEventListener('click', () => this.#pick('picked', record.request_id));
        over.addEventListener('click', () => this.#pick('laid-over', record.request_id));
        const row = element('li', {}, button, over);
        this.#pressRow(row, record.request_id);
        return row;
    }

    #pick(event, requestId) {
        const record = this.#records.find((other) => other.request_id === requestId);
        if (record) this.dispatchEvent(new CustomEvent(event, { detail: record }));
    }

    /** Arrows go from trace to trace. */
    #move(event) {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        const buttons = [...this.#list.querySelectorAll('.trace-row')];
        const at = buttons.indexOf(document.activeElement);
        if (!step || at < 0) return;
        event.preventDefault();
        const next = buttons[Math.min(Math.max(at + step, 0), buttons.length - 1)];
        next.focus();
        next.click();
    }

    #press() {
        for (const [requestId, row] of this.#rows) this.#pressRow(row, requestId);
    }

    #pressRow(row, requestId) {
        const [button, over] = row.children;
        button.setAttribute('aria-pressed', String(requestId === this.#chosen));
        over.setAttribute('aria-pressed', String(requestId === this.#over));
        // Over itself there is nothing to see.
        over.disabled = requestId === this.#chosen;
    }

    #say(text) {
        this.#empty.textContent = text;
        this.#empty.hidden = text === '';
    }

    #count() {
        byId('traces-head').hidden = this.#records.length === 0;
        byId('traces-count').textContent =
            this.#records.length > 0 ? `${plural(this.#records.length, 'trace')} shown` : '';
    }

    #changed() {
        this.dispatchEvent(new Event('changed'));
    }
}
