// A way to the time: what the status says of it, and `open`, which makes its transport. Two ways of
// one `key` are the same.

import { addressOfPage, node, relayOfPage } from './environment.js';
import { failure } from './failure.js';
import { NtsError, plainNtpWillDo, urlWillDo } from './nts.js';
import { parseServer } from './server.js';
import { CLOUDFLARE_TRACE, HttpsTime, serverOf } from './transports/https.js';
import { HttpRelay } from './transports/http.js';
import { PageRelay } from './transports/page.js';
import { Udp } from './transports/udp.js';
import { WebSocketRelay } from './transports/websocket.js';

const CREDENTIALS = ['omit', 'same-origin', 'include'];
const VARIABLE = 'PORTACODE_NTP_SERVER';

const environment = () => node?.env ?? {};

/** The way that these options name; a TypeError where they name none, or two. */
export function wayOf(options) {
    const { relay, source, credentials, nts } = Object(options);
    if ((relay === undefined) === (source === undefined)) {
        throw new TypeError('configure() takes {relay: url} or {source: ...}, one of them');
    }
    if (relay !== undefined) {
        if (nts !== undefined)
            throw new NtsError("nts is for a source; a relay's own server has its choice");
        return relayWay(relay, credentials);
    }
    if (credentials !== undefined) throw new TypeError('credentials are for a relay alone');
    return sourceWay(source, nts);
}

/** The page's own connection carries requests. */
export function pageWay(sender) {
    if (typeof sender !== 'function') throw new TypeError('the sender is not a function');
    return { via: 'ws-relay', key: sender, open: (host) => new PageRelay(host, sender) };
}

/** Where nobody chose: the page's relay, Node's variable, Cloudflare. Or what is wrong with it. */
export function defaultWay() {
    const relay = relayOfPage();
    let named;
    try {
        if (relay) return wayOf(relay);
        if (!node) return httpsWay(CLOUDFLARE_TRACE);
        // Deno lets a program read it only with permission, and throws where there is none.
        named = node.env[VARIABLE];
        return udpWay(named || undefined);
    } catch (error) {
        const { message } = error;
        const failed = (code, warning) => ({ failure: failure(code, message), warning });
        const unproved = error instanceof NtsError && failed('no_nts', message);
        if (relay) {
            const malformed = `the page's ntp-clock-relay is malformed: ${message}`;
            return unproved || failed('no_relay', malformed);
        }
        const what =
            named === undefined ? 'the environment cannot be read' : `${VARIABLE} is malformed`;
        const malformed = `${what}: ${message}`;
        return { ...(unproved || failed('no_server', malformed)), server: named };
    }
}

function relayWay(relay, credentials = 'omit') {
    if (!CREDENTIALS.includes(credentials)) {
        const given = JSON.stringify(credentials);
        throw new TypeError(`credentials are "${CREDENTIALS.join('", "')}", not ${given}`);
    }
    const url = parsed(relay, () => `${JSON.stringify(relay)} is not the URL of a relay`);
    // It names a place within a document, is never sent, and a WebSocket takes no URL that has one.
    url.hash = '';
    // From a page that came over TLS browsers ask nobody without it. The author of the URL may not
    // have known that a proxy adds it.
    const page = new URL(addressOfPage() ?? url);
    if (page.protocol === 'https:' && page.host === url.host) {
        url.protocol = url.protocol.replace(/^(ws|http):/, '$1s:');
    }
    urlWillDo(url, undefined, environment());
    const { href, protocol } = url;
    const key = `relay ${href} ${credentials}`;
    if (/^wss?:$/.test(protocol)) {
        return { via: 'ws-relay', key, open: (host) => new WebSocketRelay(host, href) };
    }
    if (/^https?:$/.test(protocol)) {
        return { via: 'http-relay', key, open: (host) => new HttpRelay(host, href, credentials) };
    }
    throw new TypeError(`a relay's URL begins with ws:, wss:, http: or https:, not ${protocol}`);
}

function sourceWay(source, nts) {
    const url = source === 'cloudflare' ? CLOUDFLARE_TRACE : source;
    if (/^https?:\/\//.test(url)) return httpsWay(url, nts);
    const way = udpWay(source, nts);
    if (!node) throw new TypeError('a browser cannot ask an NTP server: configure a relay');
    return way;
}

function udpWay(text, nts) {
    if (/^\s*nts:\/\//i.test(text)) throw NtsError.required(JSON.stringify(text));
    const server = parseServer(text);
    plainNtpWillDo(nts, environment());
    return {
        via: 'udp',
        server: server.shown,
        key: `ntp ${server.shown}`,
        open: (host) => new Udp(host, server),
    };
}

function httpsWay(text, nts) {
    const url = parsed(text, () => `${JSON.stringify(text)} is not a URL`);
    url.hash = '';
    urlWillDo(url, nts, environment());
    return {
        via: 'https',
        boundAssumed: true,
        server: serverOf(url),
        key: `https ${url.href}`,
        open: (host) => new HttpsTime(host, url.href),
    };
}

function parsed(text, complaint) {
    try {
        return new URL(text, addressOfPage());
    } catch {
        throw new TypeError(complaint());
    }
}
