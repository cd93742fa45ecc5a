// The page: looks at the clock, says what it sees, and passes on what the reader wants.

import ntpClock from 'virtual:ntp-clock';
import { compare } from './compare.js';
import { Plot } from './plot.js';
import * as words from './words.js';

const at = (id) => document.getElementById(id);
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const LOG_MAX = 200;
const NO_TIME = '\u2013\u2013:\u2013\u2013:\u2013\u2013.\u2013\u2013\u2013';
const CLOUDFLARE = 'https://cloudflare.com/cdn-cgi/trace';

let compared = null;
/** What is asked, as the reader knows it. */
let target = CLOUDFLARE;
/** Why the address bar's choice is none, and nothing is asked. */
let refused = null;

// --- what is seen

function show(id, text) {
    const element = at(id);
    if (element.textContent !== text) element.textContent = text;
}

/** A value with a remark in smaller print. */
function tell(id, value, remark = '') {
    const element = at(id);
    if (element.dataset.reported === value + remark) return;
    element.dataset.reported = value + remark;
    element.textContent = value;
    if (!remark) return;
    const small = document.createElement('small');
    small.textContent = remark;
    element.append(' ', small);
}

function digits(id, ms) {
    const element = at(id);
    const text = ms === null ? NO_TIME : words.clockTime(ms);
    element.toggleAttribute('data-none', ms === null);
    const [minutes, seconds, millis] = element.children;
    const parts = [text.slice(0, 5), text.slice(5, 8), calm.matches ? '' : text.slice(8)];
    [minutes, seconds, millis].forEach((part, i) => {
        if (part.textContent !== parts[i]) part.textContent = parts[i];
    });
}

function times() {
    const reading = ntpClock.read();
    digits('time', reading && reading.timeMs);
    digits('browser-time', Date.now());
    show('bound', reading ? `\u00b1 ${words.span(reading.maxErrorMs)}` : 'no reading');
    show('date', reading ? words.day(reading.timeMs) : '');
}

function facts() {
    const status = ntpClock.getStatus();
    const { isSynced, timeSinceSync, nextSync, requests, believed } = status;
    const state = isSynced ? status.state : status.state === 'failed' ? 'failed' : 'unsynchronised';
    at('state').dataset.state = state;
    const asking = !isSynced && !status.lastError && !refused;
    show('state-text', asking ? 'Asking' : words.STATES[state]);
    const server = refused ? '\u2013' : status.server || 'not known yet';
    const way = refused ? '\u2013' : words.WAYS[status.via];
    const head = `${status.server || 'server not known yet'}, ${way}`;
    show('source-line', refused ? 'no source' : head);
    show('apart', words.apart(compared?.offset ?? null, compared?.maxErrorMs ?? 0));
    tell('offset', words.signed(compared?.offset ?? null));
    tell('max-error', isSynced ? `\u00b1 ${words.span(status.maxErrorMs)}` : '\u2013');
    tell('est-error', words.span(status.estErrorMs), isSynced ? 'one sigma' : '');
    tell('delay', words.span(status.delayMs));
    tell('drift', words.ppm(status.driftPpm), status.driftPpm === null ? '' : 'of its counter');
    tell('last-sync', ...moment(status.lastSync, timeSinceSync, (ago) => `${ago} ago`));
    // One look: by the next the reading may be gone.
    const time = ntpClock.now();
    const ahead = nextSync && time !== null ? Date.parse(nextSync) - time : null;
    tell('next-sync', ...moment(nextSync, ahead, (soon) => `in ${soon}`));
    tell('requests', String(believed), `of ${requests} asked`);
    tell('rejections', words.rejections(status.rejections));
    tell('epoch', status.epoch > 0 ? String(status.epoch) : '\u2013');
    tell('server', server);
    tell('via', way);
    tell('address', target.replace(/^[a-z]+:\/\//, ''));
    const stated = isSynced ? ['stated', 'and counted'] : ['\u2013'];
    const own = status.boundAssumed ? ['50 ms', 'assumed, because the server states none'] : stated;
    tell('assumed', ...own);
    tell('stratum', status.stratum > 0 ? String(status.stratum) : '\u2013');
    problem(refused ?? words.problemOf(status, target));
}

function moment(iso, ms, phrase) {
    return iso && ms !== null ? [phrase(words.seconds(ms)), iso.slice(11, 19)] : ['\u2013'];
}

function problem(found) {
    at('problem').hidden = !found;
    if (!found) return;
    at('problem').toggleAttribute('data-mild', found.mild);
    show('problem-title', found.title);
    show('problem-why', words.sentence(found.why));
    show('problem-remedy', found.remedy);
}

/** For those who hear the page: what changed, and nothing else. */
function speak(text) {
    show('spoken', text);
}

function log(kind, text) {
    const list = at('log');
    const item = document.createElement('li');
    item.dataset.kind = kind;
    const what = document.createElement('span');
    what.textContent = text;
    const when = document.createElement('time');
    when.dataset.at = performance.now();
    item.append(when, what);
    list.prepend(item);
    while (list.children.length > LOG_MAX) list.lastElementChild.remove();
    date();
}

/** The clock dates afterwards what happened before it had the time: till then, how long ago. */
function date() {
    for (const when of at('log').querySelectorAll('time[data-at]')) {
        const moment = Number(when.dataset.at);
        const reading = ntpClock.at(moment);
        if (!reading) {
            when.textContent = `${words.seconds(performance.now() - moment)} ago`;
            continue;
        }
        when.textContent = words.clockTime(reading.timeMs);
        when.dateTime = new Date(reading.timeMs).toISOString();
        delete when.dataset.at;
    }
}

// --- what the clock tells

const plot = new Plot(at('plot'));
let wasSynced = false;

ntpClock.addEventListener('sync', ({ detail }) => {
    plot.mark(performance.now());
    log('sync', `Synchronised within \u00b1 ${words.span(detail.maxErrorMs)}`);
    look();
});
ntpClock.addEventListener('fail', ({ detail }) => {
    const which = detail.attempt > 0 ? `Attempt ${detail.attempt} failed` : 'Failed';
    log('fail', `${which}: ${detail.error}`);
    look();
});
ntpClock.addEventListener('epoch', ({ detail }) => {
    log('epoch', `Epoch ${detail.epoch}: ${detail.reason}`);
});

/** Once a second, and whenever something happened. */
function look() {
    compared = compare(ntpClock);
    if (compared) plot.add(compared);
    plot.draw();
    times();
    facts();
    date();
    const synced = compared !== null;
    if (synced !== wasSynced) {
        wasSynced = synced;
        speak(
            synced
                ? `Synchronised within ${words.span(compared.maxErrorMs)}`
                : 'No synchronised time',
        );
    }
}

// --- what the reader wants

function choose({ relay, source }) {
    ntpClock.configure(relay === undefined ? { source } : { relay });
    target = relay ?? (source === 'cloudflare' ? CLOUDFLARE : source);
    refused = null;
    ntpClock.startAutoSync();
    log('source', `Source: ${target}`);
}

at('sync-now').addEventListener('click', async ({ currentTarget: button }) => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    button.textContent = 'Asking\u2026';
    log('asked', 'Asked by hand');
    const believed = await ntpClock.sync();
    button.removeAttribute('aria-disabled');
    button.textContent = 'Sync now';
    look();
    const reading = ntpClock.read();
    speak(
        believed && reading
            ? `Synchronised within ${words.span(reading.maxErrorMs)}`
            : `No reply was believed: ${ntpClock.getStatus().lastError}`,
    );
});

const form = at('source');
const URLS = {
    relay: ['URL of the relay', 'wss://example.org/clock'],
    https: ['URL of an HTTPS time', CLOUDFLARE],
};

form.addEventListener('change', () => {
    const [label, example] = URLS[form.way.value] ?? [];
    at('url-line').hidden = !label;
    if (!label) return;
    show('url-label', label);
    form.url.placeholder = example;
});

form.addEventListener('submit', (event) => {
    event.preventDefault();
    const way = form.way.value;
    const url = form.url.value.trim();
    let wrong = '';
    try {
        if (way !== 'cloudflare' && url === '') throw new TypeError('Enter its URL.');
        if (way === 'https' && !/^https?:\/\//.test(url)) {
            throw new TypeError('HTTPS time has a URL that begins with https://');
        }
        choose(way === 'relay' ? { relay: url } : { source: way === 'https' ? url : 'cloudflare' });
        remember(way, url);
    } catch (error) {
        wrong = error.message;
    }
    show('source-error', wrong);
    form.url.toggleAttribute('aria-invalid', false);
    if (wrong) {
        form.url.setAttribute('aria-invalid', 'true');
        form.url.focus();
        speak(wrong);
    } else {
        look();
        speak(`Asking ${target}`);
    }
});

/** Loading the page again asks the same source. */
function remember(way, url) {
    const query = way === 'relay' ? { relay: url } : { source: way === 'https' ? url : way };
    try {
        history.replaceState(null, '', `?${new URLSearchParams(query)}`);
    } catch {
        // Some browsers do not let a file change its address.
    }
}

function fromAddress() {
    const query = new URLSearchParams(location.search);
    const relay = query.get('relay') ?? undefined;
    const source = query.get('source') ?? undefined;
    if (relay === undefined && source === undefined) return;
    form.url.value = relay ?? (source === 'cloudflare' ? '' : source);
    form.way.value = relay !== undefined ? 'relay' : source === 'cloudflare' ? source : 'https';
    form.dispatchEvent(new Event('change'));
    try {
        choose(relay !== undefined ? { relay } : { source });
    } catch (error) {
        // Nothing takes the place of what was asked for.
        ntpClock.stopAutoSync();
        target = relay ?? source;
        refused = {
            mild: false,
            title: 'No synchronised time: the source in the address is wrong',
            why: error.message,
            remedy: 'Correct the address of this page, or choose a source below.',
        };
        log('fail', error.message);
    }
}

fromAddress();
look();
setInterval(look, 1000);
setInterval(facts, 500);
if (calm.matches) setInterval(times, 250);
else
    requestAnimationFrame(function frame() {
        times();
        requestAnimationFrame(frame);
    });
