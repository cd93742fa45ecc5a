// The clock as programs see it: readings, waiting, the choice of a way, the status, what the page
// goes through.

import { isOurs, now } from './counter.js';
import { node, soon } from './environment.js';
import { Driver } from './driver.js';
import { Clock } from './face.js';
import { iso } from './iso.js';
import { pageWay, wayOf } from './ways.js';

export class NTPClock extends Clock {
    #driver;
    #onFailure = null;
    /** Events not dispatched yet. */
    #news = [];

    constructor(options = {}) {
        super();
        const chosen = options.relay !== undefined || options.source !== undefined;
        const way = chosen ? wayOf(options) : null;
        this.#driver = new Driver({
            tell: (type, detail) => this.#tell(type, detail),
            readable: () => this.readable(),
        });
        if (way) this.#driver.use(way);
        this.#listen();
    }

    /** The time in milliseconds since the Unix epoch, or null. */
    now() {
        return this.#driver.now();
    }

    read() {
        return this.#driver.read();
    }

    /** The counter, which counter it is, and the reading: all of one moment. */
    stamp() {
        return this.#driver.stamp();
    }

    at(performanceMs) {
        // Fake timers have moments of their own.
        return isOurs() ? this.#driver.at(performanceMs) : null;
    }

    /** Asks now: true once a reply was believed, false where the attempt failed. */
    sync() {
        return this.#driver.sync();
    }

    startAutoSync() {
        this.#driver.run();
    }

    /** No more rounds by itself; readings go on until they expire. */
    stopAutoSync() {
        this.#driver.stop();
    }

    /**
     * Chooses the one way to the time: `{relay: url}` or `{source: 'cloudflare' | url |
     * host[:port]}`. Throws a TypeError where that is no way. Another way than before begins a new
     * epoch; the same changes nothing.
     */
    configure(options) {
        this.#driver.use(wayOf(options));
    }

    /** The page's own connection carries requests: `sender(message)`; false is "not sent". */
    setClockSyncSender(sender) {
        this.#driver.use(pageWay(sender));
    }

    /** A reply came over the page's connection. */
    handleServerSync(payload) {
        const t4 = now();
        this.#driver.receive(payload, t4);
    }

    /** Called with the reason and its code whenever an attempt fails. */
    onClockSyncFailure(callback) {
        if (callback != null && typeof callback !== 'function') {
            throw new TypeError('the callback is not a function');
        }
        this.#onFailure = callback;
    }

    getStatus() {
        const { local, wall, reading, status, way, failure, counter } = this.#driver.look();
        const moment = (at) =>
            reading && Number.isFinite(at) ? iso(reading.timeMs + (at - local)) : null;
        return {
            server: way.server ?? '',
            address: way.address ?? null,
            offset: reading && reading.timeMs - wall,
            lastSync: status?.lastSync == null ? null : iso(status.lastSync),
            timeSinceSync: status?.lastSyncLocal == null ? null : local - status.lastSyncLocal,
            isSynced: reading !== null,
            state: status?.state ?? (failure ? 'failed' : 'unsynchronised'),
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
            lastError: failure && failure.text,
            lastErrorCode: failure && failure.code,
            nextSync: moment(status?.nextSync),
            epoch: status?.epoch ?? 1,
            counterId: counter,
        };
    }

    /**
     * Tells listeners in a task of its own: code that waits for the clock goes on first, however
     * long a listener takes.
     */
    #tell(type, detail) {
        this.#news.push([type, detail]);
        if (this.#news.length > 1) return;
        soon(() => {
            for (const [type, detail] of this.#news.splice(0)) {
                this.tell(type, detail);
                if (type === 'fail') this.#failed(detail);
            }
        });
    }

    #failed({ error, code }) {
        try {
            this.#onFailure?.(error, code);
        } catch (thrown) {
            console.error(thrown);
        }
    }

    #listen() {
        if (typeof addEventListener !== 'function' || node) return;
        const wake = () => this.#driver.wake();
        addEventListener('pageshow', ({ persisted }) => persisted && wake());
        addEventListener('online', wake);
        addEventListener('pagehide', () => this.#driver.leave());
        if (typeof document !== 'object') return;
        document.addEventListener('resume', wake);
        document.addEventListener('visibilitychange', () => {
            if (document.visibilityState === 'visible') wake();
        });
    }
}
