// NTS is required, and JavaScript has none: it says so and asks nobody without proof.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import dgram from 'node:dgram';
import { test } from 'node:test';
import { defaultWay, wayOf } from '../src/ways.js';
import { NTPClock, runNode } from './support.mjs';

const REMEDY =
    'Node and browsers have no NTS (Network Time Security), and plain NTP does not stand in for ' +
    "it; ask a relay whose server requires it, as by configure({ relay: 'wss://your.site/clock/' })";
const refused = (asked) => ({
    name: 'NtsError',
    message: `${asked} cannot be followed: ${REMEDY}`,
});

/** Runs it where that is the server; what it printed, and how many datagrams the server got. */
async function ran(t, source, env) {
    const socket = dgram.createSocket('udp4');
    t.after(() => socket.close());
    await new Promise((bound) => socket.bind(0, '127.0.0.1', bound));
    const { port } = socket.address();
    const received = [];
    socket.on('message', (datagram) => received.push(datagram.length));
    const server = `127.0.0.1:${port}`;
    const { code, out, err } = runNode(source, { PORTACODE_NTP_SERVER: server, ...env });
    // It comes after all that the program sent.
    const last = once(socket, 'message');
    socket.send('', port, '127.0.0.1');
    await last;
    while (received.at(-1) !== 0) await once(socket, 'message');
    return { code, out, err, server, requests: received.length - 1 };
}

const LOOK = `
    import clock from 'CLOCK';
    const synced = await clock.waitSynced({ timeout: 300 });
    const { server, state, lastError, lastErrorCode } = clock.getStatus();
    console.log(JSON.stringify({ synced, server, state, lastError, lastErrorCode }));`;

test('where the environment requires NTS, Node asks nobody and says why', async (t) => {
    const found = await ran(t, LOOK, { PORTACODE_NTP_NTS: 'required' });
    const lastError = refused('PORTACODE_NTP_NTS=required').message;
    assert.deepEqual(JSON.parse(found.out), {
        synced: false,
        server: found.server,
        state: 'failed',
        lastError,
        lastErrorCode: 'no_nts',
    });
    const { code, err, requests } = found;
    assert.deepEqual([code, requests], [0, 0]);
    assert.equal(err, `ntp-clock: not synchronised: ${lastError}\n`);
});

test('a choice of NTS that is none is not taken for off', async (t) => {
    const found = await ran(t, LOOK, { PORTACODE_NTP_NTS: 'yes' });
    const { lastError, lastErrorCode } = JSON.parse(found.out);
    const said =
        'environment variable PORTACODE_NTP_NTS: NTS must be "off" or "required", not "yes"';
    assert.equal(lastError, said);
    assert.deepEqual([lastErrorCode, found.requests], ['no_nts', 0]);
    const malformed = { name: 'NtsError', message: 'NTS must be "off" or "required", not true' };
    assert.throws(() => new NTPClock({ source: '127.0.0.1:1', nts: true }), malformed);
    assert.throws(() => new NTPClock({ source: 'cloudflare', nts: '' }), /not ""$/);
    assert.throws(() => new NTPClock({ source: '127.0.0.1:1', nts: 'Required' }), /no NTS/);
});

test('what the environment says is said of plain NTP that the program chooses, too', async (t) => {
    const choose = (options) => `
        import clock from 'CLOCK';
        try {
            clock.configure({ source: process.env.PORTACODE_NTP_SERVER, ${options} });
            await clock.sync();
        } catch ({ name }) {
            console.log(name);
        }`;
    const env = { PORTACODE_NTP_NTS: 'required' };
    const found = await ran(t, choose(''), env);
    assert.deepEqual([found.out, found.requests], ['NtsError\n', 0]);
    const plain = await ran(t, choose("nts: 'off'"), env);
    assert.deepEqual([plain.out, plain.requests > 0], ['', true]);
    for (const off of ['off', ' "OFF"\n']) {
        const asked = await ran(t, choose(''), { PORTACODE_NTP_NTS: off });
        assert.deepEqual([asked.out, asked.requests > 0], ['', true]);
    }
});

test('nobody gets NTS by asking for it: an NTP server, its URL, HTTPS, a relay', () => {
    const asks = (options) => () => new NTPClock(options);
    const asked = refused("nts: 'required'");
    assert.throws(asks({ source: 'time.example', nts: 'required' }), asked);
    assert.throws(asks({ source: 'cloudflare', nts: 'required' }), asked);
    assert.throws(asks({ source: 'https://time.example/', nts: 'required' }), asked);
    const url = 'nts://time.example:4460';
    assert.throws(asks({ source: url }), refused(JSON.stringify(url)));
    assert.throws(asks({ source: url, nts: 'off' }), TypeError);
    const relay = { relay: 'wss://a.example/clock/', nts: 'required' };
    const theirs = "nts is for a source; a relay's own server has its choice";
    assert.throws(asks(relay), { name: 'NtsError', message: theirs });
});

/** While Node's environment says this of NTS, `run`. */
function chosen(nts, run) {
    process.env.PORTACODE_NTP_NTS = nts;
    try {
        return run();
    } finally {
        delete process.env.PORTACODE_NTP_NTS;
    }
}

const overTls = (url, scheme) => ({
    name: 'NtsError',
    message:
        `PORTACODE_NTP_NTS=required cannot be followed: anybody on the way can change what ${url} ` +
        `says; ask it over TLS, by ${scheme}`,
});

const OPEN = [
    [{ relay: 'ws://a.example/clock/' }, 'wss:'],
    [{ relay: 'HTTP://a.example:8001/clock/' }, 'https:'],
    [{ relay: 'http://localhost/' }, 'https:'],
    [{ relay: 'ws://127.0.0.1.a.example/' }, 'wss:'],
    [{ relay: 'http://[::2]/', credentials: 'include' }, 'https:'],
    [{ source: 'http://a.example/trace' }, 'https:'],
];

for (const [options, scheme] of OPEN) {
    const { href } = new URL(options.relay ?? options.source);
    test(`where the environment requires NTS, ${href} is refused and ${scheme} named`, () => {
        chosen('required', () => {
            assert.throws(() => new NTPClock(options), overTls(href, scheme));
            const clock = new NTPClock({ relay: 'wss://a.example/' });
            assert.throws(() => clock.configure(options), overTls(href, scheme));
        });
        assert.throws(() => chosen('yes', () => wayOf(options)), /"off" or "required", not "yes"$/);
        assert.ok(chosen('off', () => wayOf(options)) && wayOf(options));
    });
}

const PROVED_OR_NEAR = [
    { relay: 'wss://a.example/clock/' },
    { relay: 'https://a.example/clock/' },
    { source: 'cloudflare' },
    { source: 'https://a.example/trace' },
    { relay: 'ws://127.0.0.1:8001/' },
    { relay: 'http://127.1/' },
    { relay: 'ws://[::1]:8001/' },
    { source: 'http://127.255.0.1/trace' },
];

test('where the environment requires NTS, TLS and loopback addresses will do', () => {
    for (const options of PROVED_OR_NEAR) {
        assert.equal(chosen('required', () => wayOf(options)).key, wayOf(options).key);
    }
});

test('a program may ask without proof what the environment refuses, not the other way', () => {
    const source = 'http://a.example/trace';
    assert.ok(chosen('required', () => wayOf({ source, nts: 'off' })));
    for (const url of [source, 'http://127.0.0.1/trace']) {
        const asks = () => new NTPClock({ source: url, nts: 'required' });
        assert.throws(asks, refused("nts: 'required'"));
    }
});

test('a relay that a page names within Node is refused as no_nts, not as malformed', (t) => {
    const meta = { content: 'ws://a.example/clock/' };
    globalThis.document = { querySelector: () => meta };
    t.after(() => delete globalThis.document);
    const { failure, warning } = chosen('required', defaultWay);
    assert.deepEqual(failure, { code: 'no_nts', text: warning });
    assert.equal(warning, overTls(meta.content, 'wss:').message);
    meta.content = 'ftp://a.example/';
    assert.equal(chosen('required', defaultWay).failure.code, 'no_relay');
});
