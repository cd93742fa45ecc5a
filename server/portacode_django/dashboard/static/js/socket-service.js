/**
 * A page's connection to the server: it comes back when it is lost, stamps what it sends and
 * receives with the synchronised clock, and is the clock's relay as well.
 *
 *     const service = new SocketService('/ws/dashboard/');
 *     service.addEventListener('devices', ({ detail }) => show(detail.devices));
 *     service.connect();
 *     const { payload, trace } = await service.request(deviceId, 'echo', { text: 'hello' });
 *
 * Events: `state` whenever the connection changes; `devices`, `trace`, `device_clock`,
 * `server_clock`, `progress` and `error` as docs/TRACE.md has them, the message as `detail`.
 */

import { Exchanges } from '/static/js/exchanges.js';
import { memberText, withMember } from '/static/js/json-text.js';
import ntpClock from '/static/js/utils/ntp-clock.js';
import { Trace, takeStamp } from '/static/js/utils/trace.js';

const ENTITY = 'browser';
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 30_000;
/** A connection that has lasted this long was a good one: the next loss is not held against it. */
const GOOD_AFTER_MS = 10_000;
const OPENING_MOST_MS = 10_000;
const CLOCK_EVERY_MS = 10_000;
/** The most that a message may have, as docs/TRACE.md has it. */
const FRAME_BYTES = 65_536;
/** Longer than the server's own limit, which explains itself better. */
const REQUEST_MOST_MS = 40_000;
/** Closed for what we are: trying again at once would change nothing. */
const FINAL_CODES = new Map([
    [4401, 'You are not logged in any more.'],
    [4403, 'You may not use this.'],
    [4404, 'There is nothing here.'],
]);

/** What went wrong with a request: `code` as in docs/TRACE.md, or `disconnected`. */
export class RequestError extends Error {
    constructor({ code, message }, trace = null) {
        super(message);
        this.name = 'RequestError';
        this.code = code;
        this.trace = trace;
    }
}

export class SocketService extends EventTarget {
    #url;
    #clock;
    #socket = null;
    #wanted = false;
    #state = { name: 'closed', reason: '', retryAt: null };
    #failures = 0;
    #openedAt = 0;
    #retry = undefined;
    #opening = undefined;
    #ticker = undefined;
    #pending = new Map();
    #exchanges;

    constructor(path, clock = ntpClock) {
        super();
        this.#url = new URL(path, location.href);
        this.#url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
        this.#clock = clock;
        this.#exchanges = new Exchanges(clock, (message) => this.#send(message));
        // The one way to the time is this connection; before the clock looks for another one.
        clock.setClockSyncSender((message) => this.#send(message));
        clock.onClockSyncFailure((error) => this.#tell('clock_failure', { error }));
        addEventListener('online', () => this.#hurry());
        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) this.#hurry();
        });
    }

    /** `connecting`, `open`, `waiting` (to try again, at `retryAt` by Date.now()) or `closed`. */
    get state() {
        return this.#state;
    }

    get clock() {
        return this.#clock;
    }

    connect() {
        this.#wanted = true;
        if (this.#socket === null) this.#open();
    }

    close() {
        this.#wanted = false;
        clearTimeout(this.#retry);
        this.#socket?.close(1000);
        this.#become('closed', 'closed by this page');
    }

    /**
     * Asks a device something; resolves with the response, its `trace` a finished Trace, and
     * `payloadText` the payload as it was written. Rejects with a RequestError, which has the trace
     * as far as it got. The payload is any JSON, or a JsonText, which is sent as it is written.
     * `onProgress` is called with each progress' payload and its text.
     */
    request(deviceId, command, payload = null, { timeout = REQUEST_MOST_MS, onProgress } = {}) {
        const requestId = newId();
        const trace = new Trace();
        const message = { event: 'command', request_id: requestId, device_id: deviceId };
        return new Promise((resolve, reject) => {
            const pending = { trace, resolve, reject, onProgress, timeout, limit: undefined };
            this.#pending.set(requestId, pending);
            this.#limit(requestId, pending);
            trace.stamp('client_send', this.#clock, ENTITY);
            const head = { ...message, command, trace: trace.toMessage() };
            const text = withMember(head, 'payload', payload);
            const size = new TextEncoder().encode(text).length;
            if (size > FRAME_BYTES) {
                // The server would close the connection for it, and end all that is under way.
                const problem = `the request has ${size} bytes, and ${FRAME_BYTES} are the most`;
                this.#settle(requestId, { code: 'too_large', message: problem });
            } else if (!this.#sendText(text)) {
                const problem = 'there is no connection to the server';
                this.#settle(requestId, { code: 'disconnected', message: problem });
            }
        });
    }

    // --- The connection

    #open() {
        clearTimeout(this.#retry);
        this.#become('connecting');
        const socket = new WebSocket(this.#url);
        this.#socket = socket;
        this.#opening = setTimeout(() => socket.close(), OPENING_MOST_MS);
        socket.onopen = () => {
            clearTimeout(this.#opening);
            this.#openedAt = performance.now();
            this.#become('open');
            this.#tellClock();
            this.#ticker = setInterval(() => this.#tellClock(), CLOCK_EVERY_MS);
            this.#exchanges.start();
            // Another server process may be behind it, or the old one have lost its time.
            this.#clock.sync();
        };
        socket.onmessage = ({ data }) => this.#receive(data);
        socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    }

    #closed(code, reason) {
        clearTimeout(this.#opening);
        clearInterval(this.#ticker);
        this.#exchanges.stop();
        this.#socket = null;
        const lost = 'the connection was lost; the device may have done it all the same';
        for (const requestId of [...this.#pending.keys()]) {
            this.#settle(requestId, { code: 'disconnected', message: lost });
        }
        if (!this.#wanted) return;
        if (FINAL_CODES.has(code)) {
            this.#wanted = false;
            this.#become('closed', FINAL_CODES.get(code), null, code);
            return;
        }
        const lasted = this.#openedAt ? performance.now() - this.#openedAt : 0;
        this.#openedAt = 0;
        this.#failures = lasted > GOOD_AFTER_MS ? 1 : this.#failures + 1;
        const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** (this.#failures - 1));
        // Pages that lost one server together do not come back together.
        const wait = most * (0.5 + Math.random() / 2);
        this.#retry = setTimeout(() => this.#open(), wait);
        const why = reason || (code === 1006 ? 'the server cannot be reached' : `code ${code}`);
        this.#become('waiting', why, Date.now() + wait, code);
    }

    /** Does not wait any longer: the network is back, or somebody looks. */
    #hurry() {
        if (this.#wanted && this.#socket === null) this.#open();
    }

    #become(name, reason = '', retryAt = null, code = null) {
        this.#state = { name, reason, retryAt, code };
        this.#tell('state', this.#state);
    }

    // --- Messages

    #send(message) {
        return this.#sendText(JSON.stringify(message));
    }

    #sendText(text) {
        if (this.#socket?.readyState !== WebSocket.OPEN) return false;
        this.#socket.send(text);
        return true;
    }

    #receive(data) {
        const stamp = takeStamp(this.#clock);
        let message;
        try {
            message = JSON.parse(data);
        } catch {
            console.error('the server sent what is not JSON');
            return;
        }
        if (message.event === 'clock_sync_response') this.#clockReply(message, stamp);
        else if (message.event === 'response') this.#answered(message, stamp, data);
        else if (message.event === 'progress') this.#progress(message, data);
        else {
            if (message.event === 'error' && this.#pending.has(message.request_id)) {
                this.#settle(message.request_id, message.error);
            }
            this.#tell(message.event, message);
        }
    }

    /** The clock's own requests and those that compare counters have ids apart. */
    #clockReply(message, { counter, counterNs, counterResolutionNs }) {
        const came = { counter, counterNs, resolutionNs: counterResolutionNs ?? 0 };
        if (!this.#exchanges.take(message.request_id, came)) this.#clock.handleServerSync(message);
    }

    #answered(message, stamp, text) {
        const pending = this.#pending.get(message.request_id);
        if (!pending) return;
        const { trace } = pending;
        try {
            trace.merge(Trace.fromMessage(message.trace));
        } catch (error) {
            console.error('the server sent a bad trace', error);
        }
        trace.put('client_receive', stamp, ENTITY);
        const { request_id: requestId } = message;
        this.#send({ event: 'trace_complete', request_id: requestId, trace: trace.toMessage() });
        if (message.status !== 'ok') this.#settle(requestId, message.error);
        else {
            const payloadText = memberText(text, 'payload') ?? 'null';
            this.#settle(requestId, null, { ...message, payloadText, trace });
        }
    }

    #progress(message, text) {
        const pending = this.#pending.get(message.request_id);
        if (pending) this.#limit(message.request_id, pending);
        pending?.onProgress?.(message.payload, memberText(text, 'payload') ?? 'null');
        this.#tell('progress', message);
    }

    /** It may take so long from now on. */
    #limit(requestId, pending) {
        clearTimeout(pending.limit);
        pending.limit = setTimeout(() => {
            const problem = `no answer within ${pending.timeout / 1000} s`;
            this.#settle(requestId, { code: 'timeout', message: problem });
        }, pending.timeout);
    }

    #settle(requestId, error, response) {
        const pending = this.#pending.get(requestId);
        if (!pending) return;
        this.#pending.delete(requestId);
        clearTimeout(pending.limit);
        if (error) pending.reject(new RequestError(error, pending.trace));
        else pending.resolve(response);
    }

    #tellClock() {
        this.#send({ event: 'clock', clock: clockStatus(this.#clock) });
    }

    #tell(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}

/** What a clock tells about itself, with the keys that all languages have. */
export function clockStatus(clock) {
    const status = clock.getStatus();
    return {
        server: status.server,
        is_synced: status.isSynced,
        state: status.state,
        offset_ms: status.offset,
        max_error_ms: status.maxErrorMs,
        est_error_ms: status.estErrorMs,
        drift_ppm: status.driftPpm,
        epoch: status.epoch,
        last_sync: status.lastSync,
        last_error: status.lastError,
    };
}

function newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
