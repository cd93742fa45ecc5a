// Numbers as people read them, and what is wrong in words.

const MINUS = '\u2212';
const NONE = '\u2013';

/** A length in milliseconds, in the unit and with the digits that say something. */
export function span(ms) {
    if (ms === null || !Number.isFinite(ms)) return NONE;
    const size = Math.abs(ms);
    if (size < 0.1) return `${(size * 1000).toFixed(0)} \u00b5s`;
    if (size < 10) return `${size.toFixed(2)} ms`;
    if (size < 100) return `${size.toFixed(1)} ms`;
    if (size < 1000) return `${size.toFixed(0)} ms`;
    if (size < 100_000) return `${(size / 1000).toFixed(size < 10_000 ? 2 : 1)} s`;
    if (size < 7_200_000) return `${(size / 60_000).toFixed(0)} min`;
    if (size < 172_800_000) return `${(size / 3_600_000).toFixed(0)} h`;
    return `${(size / 86_400_000).toFixed(0)} days`;
}

/** The same with its sign. */
export function signed(ms) {
    if (ms === null || !Number.isFinite(ms)) return NONE;
    return `${ms < 0 ? MINUS : '+'}${span(ms)}`;
}

export function ppm(value) {
    if (value === null) return NONE;
    const size = Math.abs(value).toFixed(1);
    return `${size === '0.0' ? '' : value < 0 ? MINUS : '+'}${size} ppm`;
}

/** How long ago or how soon, in whole seconds: it is shown once or twice a second. */
export function seconds(ms) {
    const whole = Math.max(0, Math.round(ms / 1000));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** How the browser's clock stands to the synchronised one, given synchronised less browser's. */
export function apart(offset, maxErrorMs) {
    if (offset === null) return 'not compared with anything';
    if (Math.abs(offset) <= maxErrorMs) {
        return `${signed(offset)} apart, no more than the bound`;
    }
    return `${span(offset)} ${offset > 0 ? 'behind' : 'ahead of'} synchronised time`;
}

export const WAYS = {
    'ws-relay': 'relay over WebSocket',
    'http-relay': 'relay over HTTP',
    https: 'HTTPS time',
};

export const STATES = {
    unsynchronised: 'Not synchronised',
    synchronised: 'Synchronised',
    holdover: 'Holding over',
    failed: 'Failed',
};

const TRY_ANOTHER = 'It asks again by itself. If this stays, choose another source below.';
const NETWORK = 'Nothing came back in time. Check the network and that the server runs.';
const FEWER = 'The server wants fewer requests. It is asked again by itself when it may be.';
const NO_TIME =
    'The relay answers but has no time itself. Look at its server: its own clock has to reach its NTP server first. This page goes on by itself once it has.';
const NO_BROWSER = 'This browser cannot run the clock. Try a current Chromium, Firefox or Safari.';

/** What to do about a failure, by its code. */
const REMEDIES = {
    no_reply: NETWORK,
    not_sent: NETWORK,
    unreachable:
        'Nothing came back. Check the network and the URL; a server of another origin must allow this page by CORS (Access-Control-Allow-Origin).',
    http_refused:
        'The server has nothing at this URL, or does not let this page ask. Check the path.',
    http_failed: 'The server failed to answer. Look at its log.',
    websocket_broken:
        'The WebSocket could not be opened or broke. Check that the relay runs and that its URL is right; a page on https: may only use wss:, and the server must allow this page\u2019s origin.',
    websocket_closed: 'The relay closed the connection, for the reason in the brackets.',
    websocket_forbidden:
        'The browser does not open such a connection: a page on https: may only use wss: or https:.',
    websocket_missing: NO_BROWSER,
    relay_refused: 'The relay refuses to answer. Its reason stands in the brackets.',
    rejected_unsynchronised: NO_TIME,
    rejected_server: 'The relay is behind a new time source. Load this page again if you trust it.',
    rejected_unauthenticated:
        'The reply does not carry the proof that is required. If this stays, somebody changes it on the way: look at the relay\u2019s server and its network.',
    rejected_nak:
        'The server has forgotten the keys that were agreed with it. New ones are exchanged automatically.',
    rejected_malformed: 'This is not the answer of a relay or of an HTTPS time. Check the URL.',
    kiss_deny: FEWER,
    kiss_rstr: FEWER,
    kiss_rate: FEWER,
    held: FEWER,
    wasm_forbidden:
        "Add 'wasm-unsafe-eval' to script-src in the page's Content-Security-Policy header.",
    wasm_failed: NO_BROWSER,
    wall_clock_stopped:
        'Let the browser\u2019s clock run: a test or an extension has put another in its place.',
    suspended: 'Nothing to do: the server is being asked.',
    expired: 'Nothing to do: the server is being asked.',
};

/** A reason with a capital letter, unless it begins with a URL. */
export function sentence(reason) {
    if (/^[a-z]+:\/\//.test(reason)) return reason;
    return reason.charAt(0).toUpperCase() + reason.slice(1);
}

/** What to tell about a status: a title, why, and what to do; null where all is well. */
export function problemOf(status, target) {
    const { isSynced, lastError, lastErrorCode, attempts, state } = status;
    if (isSynced && (attempts === 0 || !lastError)) return null;
    if (isSynced) {
        return {
            mild: true,
            title: 'The last attempt failed; readings go on',
            why: lastError,
            remedy: `Nothing to do yet: it asks again by itself. ${remedyFor(lastErrorCode)}`,
        };
    }
    if (!lastError) {
        return {
            mild: true,
            title: 'Asking for the time',
            why: `The first answer of ${target} takes a moment.`,
            remedy: '',
        };
    }
    return {
        mild: false,
        title:
            state === 'failed'
                ? 'No synchronised time: all attempts failed'
                : 'No synchronised time',
        why: lastError,
        remedy: remedyFor(lastErrorCode),
    };
}

const remedyFor = (code) => REMEDIES[code] ?? TRY_ANOTHER;

export function rejections(counts) {
    const parts = Object.entries(counts).map(
        ([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`,
    );
    return parts.length > 0 ? parts.join(', ') : 'none';
}

export const clockTime = (ms) => new Date(ms).toISOString().slice(11, 23);

export const day = (ms) =>
    new Date(ms).toLocaleDateString('en-GB', {
        weekday: 'long',
        day: 'numeric',
        month: 'long',
        year: 'numeric',
        timeZone: 'UTC',
    });
