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

/** What to do about an error, by what it says; the first that fits. */
const REMEDIES = [
    [
        /wasm-unsafe-eval/,
        "Add 'wasm-unsafe-eval' to script-src in the page's Content-Security-Policy header.",
    ],
    [
        /WebAssembly/,
        'This browser cannot run the clock. Try a current Chromium, Firefox or Safari.',
    ],
    [
        /not synchronised|unsynchronised|HTTP 503/i,
        'The relay answers but has no time itself. Look at its server: its own clock has to reach its NTP server first. This page goes on by itself once it has.',
    ],
    [
        /HTTP 4\d\d/,
        'The server has nothing at this URL, or does not let this page ask. Check the path.',
    ],
    [/HTTP 5\d\d/, 'The server failed to answer. Look at its log.'],
    [
        /closed \(1006/,
        'The WebSocket could not be opened or broke. Check that the relay runs and that its URL is right; a page on https: may only use wss:, and the server must allow this page\u2019s origin.',
    ],
    [/WebSocket closed/, 'The relay closed the connection, for the reason in the brackets.'],
    [
        /Failed to fetch|NetworkError|Load failed/,
        'Nothing came back. Check the network and the URL; a server of another origin must allow this page by CORS (Access-Control-Allow-Origin).',
    ],
    [
        /another server/,
        'The relay is behind a new time source. Apply the source again if you trust it.',
    ],
    [/kiss/, 'The server wants fewer requests. It is asked again by itself when it may be.'],
    [
        /no reply|too late|timeout/i,
        'Nothing came back in time. Check the network and that the server runs.',
    ],
];

/** What to tell about a status: a title, why, and what to do; null where all is well. */
export function problemOf(status, target) {
    const { isSynced, lastError, attempts, state } = status;
    if (isSynced && (attempts === 0 || !lastError)) return null;
    if (isSynced) {
        return {
            mild: true,
            title: 'The last attempt failed; readings go on',
            why: lastError,
            remedy: `Nothing to do yet: it asks again by itself. ${remedyFor(lastError)}`,
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
        remedy: remedyFor(lastError),
    };
}

function remedyFor(error) {
    const found = REMEDIES.find(([pattern]) => pattern.test(error));
    return found?.[1] ?? 'It asks again by itself. If this stays, choose another source below.';
}

export function rejections(counts) {
    const told = Object.entries(counts).map(
        ([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`,
    );
    return told.length > 0 ? told.join(', ') : 'none';
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
