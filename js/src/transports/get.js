// A request by fetch that is bounded in time and size.

import { now } from '../counter.js';
import { cancel, timer } from '../environment.js';
import { failureOf, Trouble } from '../failure.js';
import { REPLY_MAX } from './replies.js';

const REQUEST_MS = 4000;

/** The body and when its headers came; a body that is too long, or a request too slow, is none. */
export async function get(url, signal, credentials = 'omit') {
    const slow = new AbortController();
    const stop = () => slow.abort();
    const limit = timer(stop, REQUEST_MS);
    signal.addEventListener('abort', stop, { once: true });
    try {
        const response = await fetch(url, {
            cache: 'no-store',
            credentials,
            redirect: 'error',
            signal: slow.signal,
        });
        const at = now();
        if (Number(response.headers.get('content-length')) > REPLY_MAX) throw tooLong();
        const { ok, status } = response;
        if (!ok && status !== 503) {
            const code = status < 400 || status > 499 ? 'http_failed' : 'http_refused';
            throw new Trouble(code, `HTTP ${status}`);
        }
        return { text: await bounded(response), at };
    } finally {
        cancel(limit);
        signal.removeEventListener('abort', stop);
    }
}

/** A body's text, read no further than a reply may be long. */
async function bounded(response) {
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true };
        if (done) return text + decoder.decode();
        text += decoder.decode(value, { stream: true });
        if (text.length > REPLY_MAX) {
            reader.cancel().catch(() => {});
            throw tooLong();
        }
    }
}

const tooLong = () => new Trouble('reply_too_long', `its reply is longer than ${REPLY_MAX} bytes`);

/** Why a request to this URL gave nothing. */
export function whyNot(error, url) {
    if (error?.name !== 'AbortError') return failureOf(error, 'unreachable', `${url}: `);
    const slow = new Trouble('no_reply', `no reply within ${REQUEST_MS / 1000} s`);
    return failureOf(slow, 'no_reply', `${url}: `);
}
