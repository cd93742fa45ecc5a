// Where a relay is, by what a page says: relative, behind a proxy, behind a login.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayOfPage } from '../src/environment.js';
import { defaultWay, wayOf } from '../src/ways.js';

/** In surroundings like these, `run`. */
function within(surroundings, run) {
    const before = Object.keys(surroundings).map((name) => [
        name,
        Object.getOwnPropertyDescriptor(globalThis, name),
    ]);
    for (const [name, value] of Object.entries(surroundings)) {
        Object.defineProperty(globalThis, name, { value, configurable: true });
    }
    try {
        return run();
    } finally {
        for (const [name, described] of before) {
            delete globalThis[name];
            if (described) Object.defineProperty(globalThis, name, described);
        }
    }
}

const page = (href, baseURI = href) => ({
    location: { href, origin: href.startsWith('blob:') ? new URL(href).origin : 'null' },
    document: { baseURI },
});
const relayed = (surroundings, relay) =>
    within(surroundings, () => wayOf({ relay }).key.split(' ')[1]);

const PLACES = [
    ['a page', page('https://a.example/x/page?y#z'), 'https://a.example'],
    ['a frame of srcdoc', page('about:srcdoc', 'https://a.example/x/'), 'https://a.example'],
    ['a page with a base elsewhere', page('https://a.example/', 'https://b.example/'), null],
    ['a blob', page('blob:https://a.example/5e1f', 'about:blank'), 'https://a.example'],
    [
        "a blob's worker",
        { location: { href: 'blob:https://a.example/5e1f', origin: 'https://a.example' } },
        'https://a.example',
    ],
];

for (const [name, surroundings, origin] of PLACES) {
    test(`a relative relay is on the page's own host: ${name}`, () => {
        const expected = `${origin ?? 'https://a.example'}/clock/`;
        assert.equal(relayed(surroundings, '/clock/'), expected);
    });
}

const OVER_TLS = [
    ['ws://a.example/ws/clock/', 'wss://a.example/ws/clock/'],
    ['http://a.example/clock/', 'https://a.example/clock/'],
    ['wss://a.example/', 'wss://a.example/'],
    ['ws://b.example/', 'ws://b.example/'],
    ['http://a.example:8000/', 'http://a.example:8000/'],
];

for (const [written, asked] of OVER_TLS) {
    test(`from a page that came over TLS, ${written} is asked as ${asked}`, () => {
        assert.equal(relayed(page('https://a.example/'), written), asked);
    });
}

test('from a page that came without TLS a relay is asked as it is written', () => {
    assert.equal(relayed(page('http://a.example/'), 'ws://a.example/'), 'ws://a.example/');
});

test('credentials are one of three, for a relay alone, and another one is another way', () => {
    const relay = 'https://a.example/clock/';
    assert.equal(wayOf({ relay }).key, wayOf({ relay, credentials: 'omit' }).key);
    assert.notEqual(wayOf({ relay }).key, wayOf({ relay, credentials: 'include' }).key);
    assert.throws(() => wayOf({ relay, credentials: true }), /"same-origin", "include", not true/);
    assert.throws(() => wayOf({ source: 'cloudflare', credentials: 'omit' }), /for a relay alone/);
});

test("the page's meta element says whether requests carry credentials", () => {
    const named = (meta) => within({ document: { querySelector: () => meta } }, relayOfPage);
    assert.equal(named(null), null);
    assert.equal(named({ content: '' }), null);
    const meta = { content: '/clock/', dataset: { credentials: 'same-origin' } };
    assert.deepEqual(named(meta), { relay: '/clock/', credentials: 'same-origin' });
});

test('where the environment may not be read, as in Deno, the failure says so and nothing is thrown', () => {
    const before = Object.getOwnPropertyDescriptor(process, 'env');
    const denied = () => {
        throw new Error('Requires env access to "PORTACODE_NTP_SERVER"');
    };
    Object.defineProperty(process, 'env', { ...before, value: new Proxy({}, { get: denied }) });
    try {
        const { failure, warning } = defaultWay();
        assert.deepEqual(failure, {
            code: 'no_server',
            text: 'Requires env access to "PORTACODE_NTP_SERVER"',
        });
        assert.equal(warning, `the environment cannot be read: ${failure.text}`);
    } finally {
        Object.defineProperty(process, 'env', before);
    }
});
