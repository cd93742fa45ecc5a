// Where requests arrive and answers come back: Node's HTTP server and clients, and fetch in a browser.

import { HEADER } from './member.js';

/** A header's value in what undici has: text of lines, or names and values in turn, also as bytes. */
function header(headers, name) {
    if (typeof headers === 'string') {
        const lines = headers.split('\r\n').map((line) => line.split(/: ?(.*)/s));
        return lines.find(([key]) => key.toLowerCase() === name)?.[1];
    }
    const found = [];
    for (let place = 0; place + 1 < headers.length; place += 2) {
        if (String(headers[place]).toLowerCase() === name) found.push(String(headers[place + 1]));
    }
    // A header that came twice has both values, and neither is read.
    return found.length === 0 ? undefined : found.join(',');
}

/**
 * The arguments of writeHead with our header among those that the program passes. With a header set
 * before, Node would join them by name, and of lines that come twice send the last. Where the program
 * has set some itself, Node does so anyway.
 */
function withHeader(response, args, value) {
    const place = typeof args[1] === 'string' || args[2] != null ? 2 : 1;
    const headers = args[place];
    const passed = headers !== null && typeof headers === 'object';
    if (!passed || response.getHeaderNames().length > 0) {
        response.setHeader(HEADER, value);
        return args;
    }
    const all = [...args];
    if (!Array.isArray(headers)) all[place] = { ...headers, [HEADER]: value };
    else if (Array.isArray(headers[0])) all[place] = [...headers, [HEADER, value]];
    else all[place] = [...headers, HEADER, value];
    return all;
}

/** Whatever goes wrong in here is not the program's. */
const safely = (work) => (message) => {
    try {
        work(message);
    } catch {
        // A request of a kind that is not known here.
    }
};

/** Hears of Node's requests; `stamp()` is the clock's. */
export function wireNode({ subscribe }, relative, stamp) {
    const channels = {
        'http.server.request.start'({ request, response }) {
            const { tracestate } = request.headers;
            if (tracestate === undefined) return;
            const arrived = stamp();
            const { writeHead } = response;
            response.writeHead = function (...args) {
                let given = args;
                safely(() => {
                    const answer = response.headersSent
                        ? null
                        : relative.answer(tracestate, arrived);
                    if (answer !== null) given = withHeader(response, args, answer);
                })();
                return writeHead.apply(this, given);
            };
        },
        'http.client.response.finish'({ request, response }) {
            const tracestate = request.getHeader('tracestate');
            const value = response.headers[HEADER];
            if (tracestate !== undefined) relative.answered(tracestate, value);
        },
        'undici:request:headers'({ request, response }) {
            const value = header(response.headers, HEADER);
            if (value === undefined) return;
            relative.answered(header(request.headers, 'tracestate'), value);
        },
    };
    for (const [name, hear] of Object.entries(channels)) subscribe(name, safely(hear));
}

/** The page's fetch; what wraps it later, as instrumentations do, is heard with what it adds. */
export function wireFetch(relative) {
    const { fetch } = globalThis;
    if (typeof fetch !== 'function') return;
    globalThis.fetch = async function (...args) {
        const [input, init] = args;
        const response = await fetch.apply(this, args);
        safely(() => {
            const value = response.headers.get(HEADER);
            if (value === null) return;
            const headers = new Headers(init?.headers ?? input?.headers);
            relative.answered(headers.get('tracestate'), value);
        })();
        return response;
    };
}
