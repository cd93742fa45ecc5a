// The driver: the core, its timers, the one way to the server, and who waits for a round's end.

import { instantiate } from './core.js';
import { counted, movedApart, now, pair, resolution, wall, wholeSince } from './counter.js';
import { steeredId } from './counter-id.js';
import { cancel, steeringPpm, timer, wait } from './environment.js';
import { cannotStart, explained, failure, failureOf } from './failure.js';
import { defaultWay } from './ways.js';

const SYNC_INTERVAL_MS = 300_000;
/** On coming back into view a clock that was synchronised this lately is not asked again. */
const FRESH_MS = 10_000;
/** After an error of our own. */
const RETRY_MS = 15_000;
const HELD = failure(
    'held',
    "the server asked for a pause, and nothing is sent before its end (kiss-o'-death)",
);
const ABSENCES = {
    suspended: 'the machine slept or its wall clock was set; the server is being asked again',
    wall_clock_stopped:
        'Date.now() stands still while performance.now() goes on, as with fake timers: ' +
        'sleep could not be noticed',
    expired: 'readings expired before the server was asked again',
};
const EPOCHS = {
    server_contradiction: 'the server contradicted what it said before',
    suspend: 'the machine slept or its wall clock was set',
    relay_epoch: 'the relay began an epoch of its own',
    configured: 'another way to the time was configured',
};
const UNSYNCHRONISED = () => NaN;

export class Driver {
    #core = null;
    #counter = steeredId();
    /** The counter and the wall clock when it got that name. */
    #named = pair();
    /** How often the counter had lost time when it got that name. */
    #suspends = 0;
    /** Milliseconds since 1970 or NaN, from the counter and the wall clock. */
    #now = UNSYNCHRONISED;
    /** The way that was chosen; where nobody chose, the default once the clock has started. */
    #way = null;
    #transport = null;
    #running = true;
    #started = false;
    /** Settled once the core is there, or cannot be. */
    #ready = null;
    #timer = undefined;
    /** There was a reading when it was last looked at. */
    #serving = false;
    /** Why the last attempt failed. */
    #failure = null;
    /** What the transport knows of the attempt under way. */
    #trouble = null;
    /** Who waits for the end of a round. */
    #asking = [];
    #driving = false;
    #listener;

    /** `tell(type, detail)` and `readable()` are called back. */
    constructor(listener) {
        this.#listener = listener;
        // A task later, so that the importer may configure first.
        this.#schedule(0);
    }

    // --- readings

    /** Milliseconds since 1970, or null. */
    now() {
        const time = this.#now(now(), wall());
        return time === time ? time : (this.#closely()?.timeMs ?? null);
    }

    read() {
        return this.#core?.read(now(), wall()) ?? this.#closely();
    }

    /** The counter, its name and the reading, of one moment. */
    stamp() {
        let local = now();
        let shown = wall();
        let reading = this.#core?.read(local, shown) ?? null;
        if (!reading) {
            [local, shown] = pair();
            reading = this.#readAt(local, shown);
        }
        return { ...counted(local), counter: this.#counterId(local, shown), reading };
    }

    /** The counter's name: another one once it has lost time. */
    #counterId(local, shown) {
        const suspends = this.#core?.wasm.suspends() ?? 0;
        // Without the core there is nobody else to notice.
        if (suspends !== this.#suspends || (!this.#core && movedApart(this.#named, local, shown))) {
            this.#suspends = suspends;
            this.#counter = steeredId();
            this.#named = [local, shown];
        }
        return this.#counter;
    }

    at(moment) {
        // A sleep must be noticed before anything is dated across it.
        return this.now() === null ? null : this.#core.at(moment);
    }

    /** All that there is to say, of one moment. */
    look() {
        const way = this.#transport ?? this.#way ?? this.#default();
        const [local, shown] = pair();
        const reading = this.#readAt(local, shown);
        const status = this.#core?.status(local);
        const absence = status?.absence;
        const problem = this.#trouble ?? (absence ? failure(absence, ABSENCES[absence]) : null);
        const why = this.#failure ?? way.failure ?? (reading ? null : problem);
        const counter = this.#counterId(local, shown);
        return { local, wall: shown, reading, status, way, failure: why, counter };
    }

    /** There was no reading: because there is none, or because something held us up. */
    #closely() {
        if (!this.#started && !this.#way) this.#default();
        return this.#readAt(...pair());
    }

    #readAt(local, shown) {
        if (!this.#core) return null;
        const slept = this.#core.wasm.notice(local, shown);
        const reading = this.#core.read(local, shown);
        // Sleep, a step of the wall clock or their age ended the readings: to the server at once.
        // Or there are some again, and others wait for that.
        if (slept || (reading !== null) !== this.#serving) this.#schedule(0);
        if (!reading) this.#serving = false;
        return reading;
    }

    // --- what the program wants

    /** Asks now: true once there is a reading by a believed reply, false where the attempt failed. */
    sync() {
        this.#start();
        if (!this.#core) {
            return (
                this.#ready?.then(() => (this.#core ? this.sync() : false)) ??
                Promise.resolve(false)
            );
        }
        if (!this.#ask()) {
            this.#failure ??= HELD;
            return Promise.resolve(false);
        }
        return new Promise((resolve) => {
            // As with waitSynced, code that waits keeps a process alive.
            const release = wait();
            this.#asking.push((synced) => {
                release();
                resolve(synced);
            });
            this.#drive();
        });
    }

    /** Begins a round or joins the one under way; false where the server forbids that. */
    #ask() {
        const held = this.#core.wasm.request_sync(now());
        return held !== held;
    }

    run() {
        if (this.#running) return;
        this.#running = true;
        this.#schedule(0);
    }

    stop() {
        this.#running = false;
        if (!this.#core?.wasm.in_round()) {
            cancel(this.#timer);
            this.#close();
        }
    }

    /** Another way begins afresh, in an epoch of its own; the one in use goes on. */
    use(way) {
        if (way.key === this.#way?.key) return;
        this.#way = way;
        this.#failure = this.#trouble = null;
        if (!this.#started) return;
        this.#close();
        this.#transport = null;
        if (!this.#ready) {
            this.#started = false;
            this.#schedule(0);
            return;
        }
        this.#open();
        if (this.#core?.wasm.configured(...pair())) {
            this.#newEpoch(this.#core.status(now()).epoch, 'configured');
        }
        this.#drive();
    }

    /** The page may have slept, or have had no network. */
    wake() {
        const last = this.#core?.status(now()).lastSyncLocal ?? -Infinity;
        if (this.#core && this.#running && now() - last > FRESH_MS) this.#ask();
        this.#drive();
    }

    /** The page goes away, perhaps to come back. */
    leave() {
        this.#close();
    }

    /** A reply came over the page's connection. */
    receive(payload, t4) {
        if (this.#core) this.#transport?.receive?.(payload, t4);
    }

    // --- the loop

    #schedule(ms) {
        cancel(this.#timer);
        this.#timer = timer(() => {
            this.#start();
            this.#drive();
        }, ms);
    }

    #start() {
        if (this.#started) return;
        this.#started = true;
        this.#guard(() => this.#prepare());
    }

    #prepare() {
        this.#way ??= this.#default();
        if (this.#way.failure) {
            this.#failed(0, this.#way.failure);
            // The next to be chosen is another one, and the environment may change.
            this.#way = null;
            return;
        }
        this.#open();
        if (this.#ready) return;
        let failed = false;
        const ready = new Promise((settled) => {
            instantiate(
                (core) => {
                    this.#guard(() => this.#begin(core));
                    settled();
                },
                (error) => {
                    failed = true;
                    this.#ready = null;
                    this.#failed(1, cannotStart(error));
                    settled();
                },
            );
        });
        if (!failed) this.#ready = ready;
    }

    #begin(core) {
        const coarse = resolution() * 1e6;
        const [local, shown] = pair();
        const whole = wholeSince(local, shown);
        core.wasm.create(local, shown, coarse, steeringPpm(), SYNC_INTERVAL_MS, whole);
        this.#core = core;
        // It may have slept since it was named, and nobody was there to notice.
        if (whole !== 0) this.#counter = steeredId();
        this.#now = core.wasm.now;
        this.#drive();
    }

    /** Says once, at the first look, that the default way is none. */
    #default() {
        const way = defaultWay();
        if (way.failure && this.#failure?.text !== way.failure.text) {
            this.#failure = way.failure;
            console.warn(`ntp-clock: not synchronised: ${way.warning}`);
        }
        return way;
    }

    /** Time has passed or something came: the engine decides, we do. */
    #drive() {
        const core = this.#core;
        // A sender may call us from within.
        if (!core || this.#driving) return;
        this.#driving = true;
        this.#guard(() => {
            if (this.#running || core.wasm.in_round()) core.wasm.timeout(...pair());
            // What ended comes before what begins: a transport lives from round to round.
            for (;;) {
                this.#report();
                const cookie = core.transmit(now());
                if (cookie === null) break;
                this.#send(cookie);
            }
            // Nobody waits for the last requests of the first round.
            if (core.wasm.round_is_answered()) this.#ended(this.#serving);
            const idle = !core.wasm.in_round();
            // A round that was dropped has no other end.
            if (idle) this.#ended(false);
            if (this.#running || !idle) this.#schedule(Math.ceil(core.wasm.poll_timeout() - now()));
            if (idle) this.#running ? this.#transport?.idle?.() : this.#close();
        });
        this.#driving = false;
    }

    /** An error thrown in here is reported, ends every wait, and the work is tried again later. */
    #guard(work) {
        try {
            work();
        } catch (error) {
            this.#failed(0, failureOf(error, 'internal', 'an error of the clock itself: '));
            this.#ended(false);
            this.#schedule(RETRY_MS);
        }
    }

    #report() {
        const reading = this.#readAt(...pair());
        if (reading && !this.#serving) {
            this.#listener.readable();
            this.#listener.tell('reading');
        }
        this.#serving = reading !== null;
        for (let event; (event = this.#core.event()); ) this.#take(event, reading);
    }

    #take({ kind, text, code, value }, reading) {
        if (kind === 'synchronised') {
            this.#failure = this.#trouble = null;
            this.#transport?.roundOver(true);
            this.#ended(reading !== null);
            if (reading) this.#listener.tell('sync', { ...reading, recovered: value === 1 });
        } else if (kind === 'attempt') {
            const why = explained(failure(code, text), this.#trouble);
            this.#trouble = null;
            this.#transport?.roundOver(false);
            this.#ended(false);
            this.#failed(value, why);
        } else if (kind === 'failed' && !this.#failure) {
            this.#failed(0, failure(code, text));
        } else if (kind === 'epoch') {
            this.#newEpoch(value, code);
        }
    }

    #newEpoch(epoch, code) {
        this.#listener.tell('epoch', { epoch, reason: EPOCHS[code], code });
    }

    #failed(attempt, why) {
        this.#failure = why;
        this.#listener.tell('fail', { attempt, error: why.text, code: why.code });
    }

    /** The round that was waited for is over. */
    #ended(synced) {
        for (const done of this.#asking.splice(0)) done(synced);
    }

    // --- the transport

    #open() {
        // What was opened for another way, or before, no longer has a say.
        const current =
            (act) =>
            (...args) => {
                if (this.#transport === transport) act(...args);
            };
        const transport = this.#way.open({
            core: () => this.#core,
            sent: current((cookie, at) => {
                this.#core.wasm.sent(cookie, at);
                this.#drive();
            }),
            notSent: current((cookie, trouble) => this.#notSent(cookie, trouble)),
            trouble: current((trouble) => (this.#trouble = trouble)),
            moved: current((address, before) => {
                this.#listener.tell('address', { address, before });
            }),
            relayEpoch: current(() => {
                this.#core.wasm.relay_epoch(...pair());
                this.#drive();
            }),
            drive: current(() => this.#drive()),
        });
        this.#transport = transport;
    }

    #send(cookie) {
        const transport = this.#transport;
        const broken = (error) => {
            if (this.#transport === transport) this.#notSent(cookie, failureOf(error, 'internal'));
        };
        try {
            Promise.resolve(transport.send(cookie)).catch(broken);
        } catch (error) {
            broken(error);
        }
    }

    #notSent(cookie, trouble) {
        this.#trouble = trouble;
        this.#core.wasm.send_failed(cookie, now());
        this.#drive();
    }

    #close() {
        this.#transport?.close();
    }
}
