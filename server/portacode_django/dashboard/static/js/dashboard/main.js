/** The dashboard, or a project's page: what comes over the socket goes to the part that shows it. */

import { WebSocketService, clockStatus } from '/static/js/websocket-service.js';
import { ProjectWebSocketService } from '/static/js/websocket-service-project.js';
import { Ask } from './ask.js';
import { Clocks } from './clocks.js';
import { byId, element } from './dom.js';
import { ended } from './format.js';
import { drawAll } from './histograms.js';
import { Pair } from './pair.js';
import { TraceList } from './trace-list.js';
import * as traceView from './trace-view.js';

const { scope, slug } = byId('page').dataset;
const service = scope === 'project' ? new ProjectWebSocketService(slug) : new WebSocketService();
const { clock } = service;
const clocks = new Clocks(() => clock.now());
const ask = new Ask(service);
const list = new TraceList(slug);
const HISTOGRAMS_MS = 1000;
const DRAWING_MS = 150;

// --- Clocks and devices

function showBrowser() {
    const own = { kind: 'browser', name: 'This browser', clock: clockStatus(clock) };
    clocks.show('browser', { ...own, link: linkToServer });
}

let linkToServer = null;

const devices = new Map();

function showDevice(device) {
    const { id, name, online, link } = device;
    clocks.show(id, { kind: 'device', name, clock: device.clock, online, link });
}

service.addEventListener('devices', ({ detail }) => {
    // Of a link each device tells with its clock.
    const links = new Map([...devices].map(([id, { link }]) => [id, link]));
    devices.clear();
    for (const device of detail.devices)
        devices.set(device.id, { link: links.get(device.id), ...device });
    clocks.keep(new Set(devices.keys()));
    for (const device of devices.values()) showDevice(device);
    byId('clocks-empty').hidden = devices.size > 0;
    ask.showDevices(detail.devices);
    showFilter();
});

service.addEventListener('device_clock', ({ detail }) => {
    const device = devices.get(detail.device_id);
    if (!device) return;
    Object.assign(device, { clock: detail.clock, link: detail.link, online: true });
    showDevice(device);
});

let server = null;
service.addEventListener('server_clock', ({ detail }) => {
    if (detail.entity !== server?.entity) clocks.forgetServers();
    server = detail;
    linkToServer = detail.link ?? null;
    showServer(true);
    showBrowser();
});

function showServer(online) {
    const { entity, clock } = server;
    const name = `Server ${entity.replace('server:', '').slice(0, 4)}`;
    clocks.show(entity, { kind: 'server', name, clock, online });
}

for (const event of ['sync', 'fail', 'epoch', 'reading'])
    clock.addEventListener(event, showBrowser);
setInterval(showBrowser, 1000);
showBrowser();

function showFilter() {
    const select = byId('filter-device');
    const chosen = select.value;
    const options = [...devices.values()].map(({ id, name }) =>
        element('option', { value: id }, name),
    );
    select.replaceChildren(element('option', { value: '' }, 'all'), ...options);
    select.value = devices.has(chosen) ? chosen : '';
}

// --- Traces

const follow = byId('follow');
const pair = new Pair();
let shown = null;
let over = null;

function show(record) {
    shown = record;
    list.choose(record);
    traceView.show(record);
    pair.show(shown, over);
}

/** Lays a trace over the one that is shown, which stays; null takes it away. */
function layOver(record) {
    over = record;
    list.layOver(record);
    pair.show(shown, over);
}

list.addEventListener('picked', ({ detail }) => {
    follow.checked = detail === list.records[0];
    show(detail);
});
list.addEventListener('laid-over', ({ detail }) => {
    const again = detail.request_id === over?.request_id;
    if (!again) follow.checked = false;
    layOver(again ? null : detail);
});
byId('pair-end').addEventListener('click', () => {
    layOver(null);
    byId('traces').querySelector('[aria-pressed=true]')?.focus();
});
follow.addEventListener('change', () => {
    if (follow.checked && list.records[0]) show(list.records[0]);
});

let drawing = false;
let drawnAt = 0;
let histogramsDue = false;

function later() {
    // Many traces may come at once: one picture of the newest will do, and an eye follows no more.
    if (!drawing) {
        drawing = true;
        const wait = Math.max(drawnAt + DRAWING_MS - performance.now(), 0);
        setTimeout(() => {
            drawing = false;
            drawnAt = performance.now();
            const newest = list.records[0];
            if (!newest) {
                shown = null;
                traceView.showNone(
                    'No trace to show. Ask a device something, and it appears here.',
                );
            } else if (shown === null || (follow.checked && newest !== shown)) show(newest);
        }, wait);
    }
    if (!histogramsDue) {
        histogramsDue = true;
        setTimeout(() => {
            histogramsDue = false;
            drawAll(list.records);
        }, HISTOGRAMS_MS);
    }
}

list.addEventListener('changed', later);
list.addEventListener('failed', () => {
    if (shown === null) traceView.showNone('Traces cannot be loaded.');
});
service.addEventListener('trace', ({ detail }) => list.add(detail.trace_record));

// Charts are drawn for the width that they have.
let width = 0;
new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width !== width && shown !== null) {
        traceView.show(shown);
        pair.redraw();
    }
    width = contentRect.width;
}).observe(byId('trace'));

// --- The connection

const TITLES = {
    connecting: 'Connecting',
    open: 'Live',
    waiting: 'Disconnected',
    closed: 'Closed',
};
const TONES = { connecting: 'connecting', open: 'good', waiting: 'bad', closed: 'bad' };
let wasOpen = false;

function showState() {
    const { name, reason, retryAt, code } = service.state;
    byId('connection').dataset.state = TONES[name];
    byId('connection-text').textContent = TITLES[name];
    ask.enable(name === 'open');
    const lost = name === 'waiting' || name === 'closed';
    byId('problem').hidden = !(lost || (name === 'connecting' && !byId('problem').hidden));
    if (lost) {
        const seconds =
            retryAt === null ? 0 : Math.max(Math.ceil((retryAt - Date.now()) / 1000), 1);
        byId('problem-title').textContent = wasOpen ? 'The connection is lost.' : 'No connection.';
        const next = retryAt === null ? '' : ` Trying again in ${seconds} s.`;
        byId('problem-why').textContent = `${sentence(reason)}${next}`;
        byId('problem-retry').textContent = code === 4401 ? 'Log in' : 'Try again now';
        // What we last heard of them may be true no more.
        linkToServer = null;
        if (server !== null) showServer(false);
        for (const device of devices.values()) showDevice({ ...device, online: false });
    }
}

function sentence(reason) {
    if (!reason) return '';
    // A URL stays as it is.
    if (/^[a-z]+:\/\//.test(reason)) return ended(reason);
    return ended(`${reason[0].toUpperCase()}${reason.slice(1)}`);
}

service.addEventListener('state', ({ detail }) => {
    showState();
    if (detail.name === 'open') {
        // What happened while there was no connection.
        list.load();
        wasOpen = true;
    }
});
setInterval(() => {
    if (service.state.name === 'waiting') showState();
}, 1000);
byId('problem-retry').addEventListener('click', () => {
    if (service.state.code === 4401) location.reload();
    else service.connect();
});

list.load();
service.connect();
