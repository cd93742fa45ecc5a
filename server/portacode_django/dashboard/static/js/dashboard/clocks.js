/** The clocks side by side: this browser's, the server's, each device's. */

import { byId, element, setText } from './dom.js';
import { ago, digits, duration, exactly, offBy, timeOfDay } from './format.js';

const STATES = {
    synchronised: ['good', 'synchronised'],
    holdover: ['wait', 'server lost, holding over'],
    unsynchronised: ['wait', 'synchronising'],
    failed: ['bad', 'no time'],
};

export class Clocks {
    #list = byId('clocks');
    #cards = new Map();
    #now;

    /** `now()` is this browser's synchronised time, or null. */
    constructor(now) {
        this.#now = now;
        setInterval(() => this.#tick(), 100);
    }

    /**
     * A clock's status; `online` is false for a device that is not there. `link` is what the server
     * knows of this clock's counter and its own, where they have compared them.
     */
    show(id, { kind, name, clock, online = true, link = null }) {
        const card = this.#cards.get(id) ?? this.#make(id, kind);
        card.clock = clock;
        card.online = online;
        setText(card.name, name);
        card.name.title = name;
        const [tone, words] = !online
            ? ['off', kind === 'server' ? 'not reached' : 'offline']
            : (STATES[clock?.state] ?? ['wait', 'not heard of yet']);
        card.state.dataset.state = tone;
        setText(card.words, words);
        const synced = online && clock?.is_synced;
        setText(card.offset, synced ? offBy(clock.offset_ms) : '–');
        setText(card.max, synced ? `± ${duration(clock.max_error_ms)}` : '–');
        setText(card.est, synced ? `± ${duration(clock.est_error_ms)}` : '–');
        const drifts = online && Number.isFinite(clock?.drift_ppm);
        setText(card.drift, drifts ? `${digits(clock.drift_ppm)} ppm` : '–');
        const why = online && !clock?.is_synced ? (clock?.last_error ?? '') : '';
        setText(card.why, why);
        card.why.hidden = why === '';
        showLink(card.link, online ? link : null);
        this.#tickOne(card);
    }

    /** Which devices there still are. */
    keep(ids) {
        for (const [id, card] of this.#cards) {
            if (card.kind === 'device' && !ids.has(id)) {
                card.root.remove();
                this.#cards.delete(id);
            }
        }
    }

    /** Another server process answers now. */
    forgetServers() {
        for (const [id, card] of this.#cards) {
            if (card.kind === 'server') {
                card.root.remove();
                this.#cards.delete(id);
            }
        }
    }

    #make(id, kind) {
        const parts = {};
        const part = (name, tag, attributes = {}) => (parts[name] = element(tag, attributes));
        const lines = [
            ['Own clock', 'offset'],
            ['Hard bound', 'max'],
            ['Estimated error', 'est'],
            ['Drift', 'drift'],
            ['Last sync', 'last'],
        ];
        part('words', 'span');
        part('state', 'p', { class: 'state', 'data-state': 'wait' }).append(
            element('span', { class: 'lamp', 'aria-hidden': 'true' }),
            parts.words,
        );
        const head = element('div', { class: 'head' }, part('name', 'h3'), parts.state);
        const facts = element('dl');
        for (const [label, name] of lines) facts.append(element('dt', {}, label), part(name, 'dd'));
        part('digits', 'p', { class: 'digits', role: 'timer', 'aria-live': 'off' });
        parts.seconds = document.createTextNode('––:––:––');
        parts.millis = element('small', {}, '.–––');
        parts.digits.append(parts.seconds, parts.millis);
        const root = element('li', { class: 'clock', 'data-kind': kind, 'data-id': id });
        part('link', 'div', { class: 'link' });
        root.append(head, parts.digits, facts, part('why', 'p', { class: 'why' }), parts.link);
        const order = ['browser', 'server', 'device'];
        const next = [...this.#list.children].find(
            (other) => order.indexOf(other.dataset.kind) > order.indexOf(kind),
        );
        this.#list.insertBefore(root, next ?? null);
        const card = { ...parts, root, kind, clock: null, online: true };
        this.#cards.set(id, card);
        return card;
    }

    #tick() {
        for (const card of this.#cards.values()) this.#tickOne(card);
    }

    /** They all have the same time: that is the point. */
    #tickOne(card) {
        const now = this.#now();
        const shown = card.online && card.clock?.is_synced && now !== null;
        const { seconds, millis } = shown
            ? timeOfDay(now)
            : { seconds: '––:––:––', millis: '.–––' };
        if (card.seconds.data !== seconds) card.seconds.data = seconds;
        setText(card.millis, millis);
        card.digits.toggleAttribute('data-none', !shown);
        // Of what we do not hear of, nobody knows when it last was.
        const last = card.online && card.clock?.last_sync ? Date.parse(card.clock.last_sync) : null;
        setText(card.last, last !== null && now !== null ? ago(now - last) : '–');
    }
}

/** What two counters say of one another; nothing where nobody compared them. */
function showLink(place, link) {
    place.hidden = !link;
    if (!link) {
        place.replaceChildren();
        return;
    }
    const { est_ms: ms, est_error_ms: error, width_ms: width, restarts } = link;
    const facts = [
        ['Counter offset', ms === null ? '–' : exactly(ms, error)],
        ['Known to within', width === null ? 'one side alone' : duration(width)],
        ['Least round trip', duration(link.round_trip_ms)],
        ['Newest evidence', link.age_s === null ? '–' : ago(link.age_s * 1000)],
        ['Exchanges, messages', `${link.exchanges}, ${link.messages}`],
        ['Contradictions', restarts > 0 ? `${restarts}, restarted` : 'none'],
    ];
    if (!place.firstChild) {
        const list = element('dl');
        for (const [label] of facts) list.append(element('dt', {}, label), element('dd'));
        place.append(element('p', { class: 'to' }, 'Link to the server'), list);
    }
    const values = place.querySelectorAll('dd');
    for (const [index, [, text]] of facts.entries()) setText(values[index], text);
    values[values.length - 1].classList.toggle('bad', restarts > 0);
}
