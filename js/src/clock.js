// The clock: the core, its timers, one way to the server, and what the page goes through.

import { instantiate } from './core.js';
import { pair, resolution, wholeSince } from './counter.js';
import { node, relayOfPage, timer } from './environment.js';
import { Clock } from './face.js';
import { iso } from './iso.js';
import { parseServer } from './server.js';
import { CLOUDFLARE_TRACE, HttpsTime, serverOf } from './transports/https.js';
import { HttpRelay, PageRelay, WebSocketRelay } from './transports/relay.js';
import { Udp } from './transports/udp.js';

const SERVER = 'time.cloudflare.com';
const SYNC_INTERVAL_MS = 300_000;
/** Operating systems discipline the counter that JavaScript has. */
const STEERING_PPM = 50;
/** On coming back into view a clock that was synchronised this lately is not asked again. */
const FRESH_MS = 10_000;
const CSP_HINT =
    "the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src";
const UNSYNCHRONISED = () => NaN;

export class NTPClock extends Clock {
    #core = null;
    /** Milliseconds since 1970 or NaN, from performance.now() and Date.now(). */
    #now = UNSYNCHRONISED;
    #transport = null;
    /** The way that was chosen; null for the default, once all that may configure had its turn. */
    #way = null;
    /** Why the default way is none: what the environment names is no server, or no relay. */
    #refused = null;
    #running = true;
    #started = false;
    #timer = undefined;
    #serving = false;
    #lastError = null;
    #trouble = null;
    /** What the transport told of the attempt under way. */
    #told = null;
    #waiting = [];
    #onFailure = null;
    #driving = false;

    constructor(options = {}) {
        super();
        if (options.relay !== undefined || options.source !== undefined) this.configure(options);
        // A task later, so that the importer may configure first.
        this.#schedule(0);
        this.#listen();
    }

    /** The time in milliseconds since the Unix epoch, or null. */
    now() {
        const time = this.#now(performance.now(), Date.now());
        return time === time ? time : (this.#again()?.timeMs ?? null);
    }

    read() {
        return this.#core?.read(performance.now(), Date.now()) ?? this.#again();
    }

    at(performanceMs) {
        // A sleep must be noticed before anything is dated across it.
        return this.now() === null ? null : this.#core.at(performanceMs);
    }

    /** Asks now: true once a reply was believed, false where the attempt failed. */
    sync() {
        this.#start();
        if (!this.#core) {
            return this.#started && !this.#lastError
                ? this.waitSynced({ timeout: 5000 })
                : Promise.resolve(false);
        }
        const held = this.#core.wasm.request_sync(performance.now());
        if (held === held) {
            this.#lastError = "the server asked not to be asked for now (kiss-o'-death)";
            return Promise.resolve(false);
        }
        return new Promise((resolve) => {
            // As with waitSynced, whoever waits keeps a process alive.
            const alive = setInterval(() => {}, 1000);
            this.#waiting.push((synced) => {
                clearInterval(alive);
                resolve(synced);
            });
            this.#drive();
        });
    }

    startAutoSync() {
        if (this.#running) return;
        this.#running = true;
        this.#schedule(0);
    }

    /** No more rounds by itself; readings go on until they expire. */
    stopAutoSync() {
        this.#running = false;
        if (!this.#core?.wasm.in_round()) {
            clearTimeout(this.#timer);
            this.#transport?.close();
        }
    }

    /**
     * Chooses the one way to the time: `{relay: url}` or `{source: 'cloudflare' | url | host[:port]}`.
     * Throws a TypeError where that is no way. Another way than before begins a new epoch.
     */
    configure(options) {
        const { relay, source } = Object(options);
        if ((relay === undefined) === (source === undefined)) {
            throw new TypeError('configure() takes {relay: url} or {source: ...}, one of them');
        }
        this.#use(relay === undefined ? sourceWay(source) : relayWay(relay));
    }

    /** The page's own connection carries requests: `sender(message)`; false is "not sent". */
    setClockSyncSender(sender) {
        if (typeof sender !== 'function') throw new TypeError('the sender is no function');
        this.#use({ via: 'ws-relay', open: (host) => new PageRelay(host, sender) });
    }

    /** A reply came over the page's connection. */
    handleServerSync(payload) {
        const t4 = performance.now();
        if (this.#transport instanceof PageRelay) this.#transport.receive(payload, t4);
    }

    /** Called with the reason whenever an attempt fails. */
    onClockSyncFailure(callback) {
        if (callback != null && typeof callback !== 'function') {
            throw new TypeError('the callback is no function');
        }
        this.#onFailure = callback;
    }

    getStatus() {
        const reading = this.read();
        const way = this.#transport ?? this.#way ?? defaultWay();
        const now = performance.now();
        const status = this.#core?.status(now);
        const moment = (local) =>
            reading && Number.isFinite(local) ? iso(reading.timeMs + (local - now)) : null;
        return {
            server: way.server ?? '',
            offset: reading && reading.timeMs - Date.now(),
            lastSync: status?.lastSync == null ? null : iso(status.lastSync),
            timeSinceSync: status?.lastSyncLocal == null ? null : now - status.lastSyncLocal,
            isSynced: reading !== null,
            state: status?.state ?? (this.#refused ? 'failed' : 'unsynchronised'),
            maxErrorMs: reading && reading.maxErrorMs,
            estErrorMs: reading && reading.estErrorMs,
            delayMs: status?.delayMs ?? null,
            driftPpm: status?.driftPpm ?? null,
            stratum: status?.stratum ?? null,
            leap: status?.leap ?? null,
            via: way.via ?? null,
            boundAssumed: way.boundAssumed ?? false,
            attempts: status?.attempts ?? 0,
            requests: status?.requests ?? 0,
            believed: status?.believed ?? 0,
            rejections: status?.rejections ?? {},
            lastError: this.#lastError ?? (reading ? null : this.#told),
            nextSync: moment(status?.nextSync),
            epoch: status?.epoch ?? 1,
        };
    }

    // --- the driver

    /** There was no reading: because there is none, or because something held us up. */
    #again() {
        if (!this.#started && !this.#way) this.#refuse(defaultWay());
        const reading = this.#closely();
        // Sleep or a step of the wall clock ended the readings: to the server at once.
        if (!reading && this.#serving) {
            this.#serving = false;
            this.#schedule(0);
        }
        return reading;
    }

    #closely() {
        if (!this.#core) return null;
        const [now, wall] = pair();
        this.#core.wasm.notice(now, wall);
        return this.#core.read(now, wall);
    }

    #schedule(ms) {
        clearTimeout(this.#timer);
        this.#timer = timer(() => {
            this.#start();
            this.#drive();
        }, ms);
    }

    #start() {
        if (this.#started) return;
        this.#started = true;
        const way = this.#way ?? defaultWay();
        if (way.error) {
            this.#refuse(way);
            this.#fail(0, way.error);
            return;
        }
        this.#transport = way.open(this.#host());
        instantiate(
            (core) => {
                const coarse = resolution() * 1e6;
                const [now, wall] = pair();
                core.wasm.create(
                    now,
                    wall,
                    coarse,
                    STEERING_PPM,
                    SYNC_INTERVAL_MS,
                    wholeSince(now, wall),
                );
                this.#core = core;
                this.#now = core.wasm.now;
                this.#drive();
            },
            (error) => {
                const forbidden = /unsafe-eval|Content.Security.Policy/i.test(
                    String(error?.message),
                );
                this.#lastError = forbidden
                    ? CSP_HINT
                    : `WebAssembly does not start: ${error?.message}`;
                this.tell('fail', { attempt: 1, error: this.#lastError });
            },
        );
    }

    /** Says once, to whoever first looks, that the default way is none. */
    #refuse({ error, origin }) {
        if (!error || this.#refused === error) return;
        this.#refused = this.#lastError = error;
        console.warn(`ntp-clock: not synchronised: ${origin} is malformed: ${error}`);
    }

    /** What a transport may do to the clock. */
    #host() {
        const clock = this;
        return {
            get core() {
                return clock.#core;
            },
            sent: (cookie, at) => {
                this.#core.wasm.sent(cookie, at);
                this.#drive();
            },
            notSent: (cookie, trouble) => {
                this.#trouble = this.#told = trouble;
                this.#core.wasm.send_failed(cookie, performance.now());
                this.#drive();
            },
            trouble: (text) => {
                this.#trouble = this.#told = text;
            },
            restart: (reason) => this.#restart(reason),
            drive: () => this.#drive(),
        };
    }

    /** Time has passed or something came: the engine decides, we do. */
    #drive() {
        const core = this.#core;
        // A listener or a sender may call us from within.
        if (!core || this.#driving) return;
        this.#driving = true;
        if (this.#running || core.wasm.in_round()) core.wasm.timeout(...pair());
        for (let cookie; (cookie = core.transmit(performance.now())) !== null; ) {
            this.#transport.send(cookie);
        }
        this.#driving = false;
        this.#report();
        const idle = !core.wasm.in_round();
        if (this.#running || !idle) {
            this.#schedule(Math.ceil(core.wasm.poll_timeout() - performance.now()));
        }
        if (idle) this.#running ? this.#transport?.idle?.() : this.#transport?.close();
    }

    #report() {
        const core = this.#core;
        const serving = this.#closely();
        const began = serving !== null && !this.#serving;
        this.#serving = serving !== null;
        if (began) this.tell('reading');
        for (let event; (event = core.event()); ) this.#take(event, serving);
    }

    #take({ kind, reason, value }, reading) {
        if (kind === 'synchronised') {
            this.#lastError = null;
            this.#trouble = this.#told = null;
            this.#ended(true);
            this.tell('sync', { ...reading, recovered: value === 1 });
        } else if (kind === 'attempt') {
            const error = this.#trouble ? `${reason} (${this.#trouble})` : reason;
            this.#lastError = error;
            this.#trouble = this.#told = null;
            this.#ended(false);
            this.#fail(value, error);
        } else if (kind === 'failed' && !this.#lastError) {
            this.#lastError = reason;
            this.tell('fail', { attempt: 0, error: reason });
        } else if (kind === 'epoch') {
            this.tell('epoch', { epoch: value, reason });
        }
    }

    #fail(attempt, error) {
        this.tell('fail', { attempt, error });
        try {
            this.#onFailure?.(error);
        } catch (thrown) {
            console.error(thrown);
        }
    }

    #ended(believed) {
        this.#transport?.roundOver(believed);
        for (const done of this.#waiting.splice(0)) done(believed);
    }

    /** Nothing learnt so far counts any more. */
    #restart(why) {
        this.#trouble = why;
        this.#told = null;
        this.#core.wasm.suspend(...pair());
        this.#drive();
    }

    #use(way) {
        this.#way = way;
        this.#lastError = this.#refused = this.#told = null;
        if (!this.#started) return;
        this.#transport?.close();
        this.#transport = null;
        if (!this.#core) {
            this.#started = false;
            this.#schedule(0);
            return;
        }
        this.#transport = way.open(this.#host());
        this.#restart('another way to the time was configured');
    }

    #listen() {
        if (typeof addEventListener !== 'function' || node) return;
        const again = () => {
            const status = this.#core?.status(performance.now());
            const since = performance.now() - (status?.lastSyncLocal ?? -Infinity);
            if (this.#running && since > FRESH_MS) this.sync();
            else this.#drive();
        };
        addEventListener('pageshow', ({ persisted }) => persisted && again());
        addEventListener('online', again);
        addEventListener('pagehide', () => this.#transport?.close());
        if (typeof document !== 'object') return;
        document.addEventListener('resume', again);
        document.addEventListener('visibilitychange', () => {
            if (document.visibilityState === 'visible') again();
        });
    }
}

// A way to the time: `open` makes its transport, and the rest is what the status says before that.

function relayWay(relay) {
    let url;
    try {
        url = new URL(relay, globalThis.location?.href);
    } catch {
        throw new TypeError(`${JSON.stringify(relay)} is no URL of a relay`);
    }
    if (/^wss?:$/.test(url.protocol)) {
        return { via: 'ws-relay', open: (host) => new WebSocketRelay(host, url.href) };
    }
    if (/^https?:$/.test(url.protocol)) {
        return { via: 'http-relay', open: (host) => new HttpRelay(host, url.href) };
    }
    throw new TypeError(
        `a relay's URL begins with ws:, wss:, http: or https:, not ${url.protocol}`,
    );
}

function sourceWay(source) {
    if (source === 'cloudflare') return httpsWay(CLOUDFLARE_TRACE);
    if (/^https?:\/\//.test(source)) return httpsWay(source);
    const way = udpWay(source);
    if (!node) throw new TypeError('a browser cannot ask an NTP server: configure a relay');
    return way;
}

function udpWay(text) {
    const server = parseServer(text);
    return { via: 'udp', server: server.shown, open: (host) => new Udp(host, server) };
}

function httpsWay(url) {
    const open = (host) => new HttpsTime(host, url);
    return { via: 'https', boundAssumed: true, server: serverOf(url), open };
}

/** Where nobody chose: the page's relay, Node's variable, Cloudflare. Or what is wrong with it. */
function defaultWay() {
    const relay = relayOfPage();
    const named = node?.env.PORTACODE_NTP_SERVER;
    try {
        if (relay) return relayWay(relay);
        return node ? udpWay(named || SERVER) : httpsWay(CLOUDFLARE_TRACE);
    } catch ({ message: error }) {
        return relay
            ? { error, origin: "the page's ntp-clock-relay" }
            : { error, origin: 'PORTACODE_NTP_SERVER', server: named };
    }
}
