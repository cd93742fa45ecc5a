/** A time with its errors; `timeMs` is Unix milliseconds of true time. */
export interface Reading {
    /** Milliseconds since the Unix epoch, with a fraction. */
    readonly timeMs: number;
    /** Hard bound: the truth is within `timeMs ± maxErrorMs`, given a truthful server. */
    readonly maxErrorMs: number;
    /** One standard deviation, milliseconds. */
    readonly estErrorMs: number;
    /** Readings of one epoch never decrease; a new epoch may start earlier. */
    readonly epoch: number;
}

/** A moment by the local counter and, where there is one, by the clock. */
export interface ClockStamp {
    /** The local counter, whole nanoseconds as text; there also without synchronised time. */
    readonly counterNs: string;
    /** How coarse that is, nanoseconds: the moment lies within this of `counterNs`. */
    readonly resolutionNs: number;
    /**
     * Which counter it is: 16 hexadecimal digits and, where the system may steer it, by how many
     * parts per million (`~500`). Two stamps of the same one are in the order of their `counterNs`.
     * A counter that has lost time, as in a sleep of the machine, is another one.
     */
    readonly counter: string;
    /** The time at that moment; null while not synchronised. */
    readonly reading: Reading | null;
}

/** How the time reaches this clock. */
export type Via = 'ws-relay' | 'http-relay' | 'https' | 'udp' | 'manual';

/**
 * Why there is no time, in one word that stays the same from version to version, for programs that
 * look up what to do. Those of an attempt are the core's, as in Rust and Python.
 */
export type FailureCode =
    /** Nothing came back in time. */
    | 'no_reply'
    /** The request could not be sent. */
    | 'not_sent'
    /** The readings ran out before the server was asked again. */
    | 'expired'
    /** The server refuses (deny, rstr) or wants fewer requests (rate). */
    | 'kiss_deny'
    | 'kiss_rstr'
    | 'kiss_rate'
    | 'kiss_other'
    /** The server asked for a pause, which is not over. */
    | 'held'
    /** A reply came and was not believed, for this reason. */
    | `rejected_${string}`
    /** NTP: the name has no usable address, or the system cannot reach the one that it has. */
    | 'no_address'
    | 'forbidden_address'
    | 'refused'
    | 'unreachable'
    | 'not_permitted'
    /** A relay's WebSocket. */
    | 'websocket_missing'
    | 'websocket_forbidden'
    | 'websocket_broken'
    | 'websocket_closed'
    /** HTTP: status 400 to 499, another one, a reply without end. */
    | 'http_refused'
    | 'http_failed'
    | 'reply_too_long'
    /** The relay said that it refuses. */
    | 'relay_refused'
    /** The page's own sender. */
    | 'sender_refused'
    | 'sender_threw'
    /** What the environment names is no server, or no relay. */
    | 'no_server'
    | 'no_relay'
    /** The environment requires NTS (`PORTACODE_NTP_NTS`), which Node does not have. */
    | 'no_nts'
    /** WebAssembly: forbidden by the page's policy, or not working. */
    | 'wasm_forbidden'
    | 'wasm_failed'
    /** The machine slept or its wall clock was set; the server is being asked. */
    | 'suspended'
    /** Date.now() stands still: sleep could not be noticed. */
    | 'wall_clock_stopped'
    /** A clock set by hand. */
    | 'by_hand'
    /** An error of the clock itself. */
    | 'internal';

/** Why a new epoch began. */
export type EpochCode =
    | 'server_contradiction'
    | 'suspend'
    | 'relay_epoch'
    | 'configured'
    | 'by_hand';

/** What a clock tells about itself. `null` is what it does not know, or cannot say now. */
export interface Status {
    /**
     * The server whose time it is, with its port where it is not 123. Empty while a relay has not
     * yet said whose time it has.
     */
    readonly server: string;
    /** Node: the address of the server that answers. */
    readonly address: string | null;
    /** Synchronised time less `Date.now()`, milliseconds. */
    readonly offset: number | null;
    /** True time of the last believed reply, as `nowISO()` writes it. */
    readonly lastSync: string | null;
    /** Milliseconds since then. */
    readonly timeSinceSync: number | null;
    /** Whether there are readings now. */
    readonly isSynced: boolean;
    readonly state: 'unsynchronised' | 'synchronised' | 'holdover' | 'failed';
    readonly maxErrorMs: number | null;
    readonly estErrorMs: number | null;
    /** Smallest round trip in use, milliseconds. */
    readonly delayMs: number | null;
    /** How much faster than true time the local counter runs, parts per million. */
    readonly driftPpm: number | null;
    readonly stratum?: number | null;
    readonly leap?: number | null;
    readonly via: Via | null;
    /** The server states no error of its own: 50 ms are assumed in `maxErrorMs`. */
    readonly boundAssumed: boolean;
    /** Attempts failed in a row. */
    readonly attempts: number;
    /** Counts since this way to the time was chosen. */
    readonly requests?: number;
    readonly believed?: number;
    /** Replies not believed since then, by reason. */
    readonly rejections: Readonly<Record<string, number>>;
    /** Why there is no reading, or why the last attempt failed. */
    readonly lastError: string | null;
    /** The same for programs. */
    readonly lastErrorCode: FailureCode | null;
    /** True time of the next round. */
    readonly nextSync: string | null;
    readonly epoch: number;
    /** The local counter's name, as stamps have it. */
    readonly counterId: string;
}

/** The one way to the time. */
export type Configuration =
    | {
          /**
           * URL of a relay: ws:, wss:, http: or https:, or relative to the page. On the host of a
           * page that came over TLS it is asked over TLS. Where Node's environment requires NTS
           * (`PORTACODE_NTP_NTS`), ws: and http: are an error, except to a loopback address.
           */
          relay: string;
          /**
           * Whether requests over HTTP carry cookies and passwords, as `fetch` has it: "omit" by
           * itself, "same-origin" for a relay behind a login. WebSockets always carry them.
           */
          credentials?: 'omit' | 'same-origin' | 'include' | undefined;
          source?: undefined;
          nts?: undefined;
      }
    | {
          /**
           * `'cloudflare'` (its HTTPS time), the URL of another such trace, or in Node an NTP
           * server, `host[:port]`.
           */
          source: string;
          /**
           * Whether replies must be proved by Network Time Security. JavaScript cannot: "required",
           * also by `PORTACODE_NTP_NTS` in Node's environment, is an error, and a server at
           * `nts://` is one too. Of URLs the environment refuses http: alone, except to a
           * loopback address. "off" asks without proof whatever the environment says.
           */
          nts?: 'off' | 'required' | undefined;
          relay?: undefined;
          credentials?: undefined;
      };

/** What a page sends for the clock over its own connection. */
export interface ClockSyncRequest {
    readonly event: 'clock_sync_request';
    readonly request_id: string;
}

/**
 * Listeners are called in a task of their own, after code that waits for `waitSynced()` or
 * `sync()`; of a `ManualClock` at once.
 */
export interface ClockEvents {
    /** A round ended with a believed reply. */
    sync: CustomEvent<Reading & { recovered?: boolean }>;
    /** An attempt failed. */
    fail: CustomEvent<{ attempt: number; error: string; code: FailureCode }>;
    /** Readings may start earlier than before. */
    epoch: CustomEvent<{ epoch: number; reason: string; code: EpochCode }>;
    /** Node: another address of the server answers. */
    address: CustomEvent<{ address: string; before: string }>;
}

/** What all clocks have. */
export interface Clock extends EventTarget {
    /** Milliseconds since the Unix epoch with a fraction; null while not synchronised. */
    now(): number | null;
    /** `'2025-10-05T04:37:12.768445+00:00'`, always six digits; null while not synchronised. */
    nowISO(): string | null;
    /** The time now with its errors; null while not synchronised. */
    read(): Reading | null;
    /** The counter, which counter it is, and the time now: all of one moment. */
    stamp(): ClockStamp;
    /**
     * The time at another moment of `performance.now()`: a span's start, a Resource Timing entry,
     * also from before the first synchronisation. Null where that cannot be said, and while fake
     * timers have put another performance.now() in place of the one that the clock counts with.
     */
    at(performanceMs: number): Reading | null;
    /** Resolves true once there are readings; false after `timeout` ms or when `signal` aborts. */
    waitSynced(options?: { timeout?: number; signal?: AbortSignal }): Promise<boolean>;
    /** The earliest that true time can be now, in milliseconds; null while not synchronised. */
    earliest(): number | null;
    /**
     * The latest that true time can be now, in milliseconds; null while not synchronised. It is the
     * time to give to what is committed now.
     */
    latest(): number | null;
    /** Whether this time has certainly passed; null while not synchronised. */
    isPast(timeMs: number): boolean | null;
    /** Whether this time has certainly not come yet; null while not synchronised. */
    isFuture(timeMs: number): boolean | null;
    /**
     * Commit wait: resolves, once this time has certainly passed, to the reading that says so. It
     * is as long as the error of the moment asks for, looks again while that changes, and waits for
     * a clock that is not synchronised. @throws DOMException (`TimeoutError`) where that is not so
     * after `timeout` ms, or certainly will not be; the reason of `signal` where that aborts.
     */
    waitUntilPast(
        timeMs: number,
        options?: { timeout?: number; signal?: AbortSignal },
    ): Promise<Reading>;
    /** Asks the server now; resolves whether there is a reading by it. Joins a round under way. */
    sync(): Promise<boolean>;
    /** Rounds by itself, as from the start. */
    startAutoSync(): void;
    /** No more rounds by itself; readings go on until they expire. */
    stopAutoSync(): void;
    getStatus(): Status;
    addEventListener<K extends keyof ClockEvents>(
        type: K,
        listener: ((event: ClockEvents[K]) => void) | null,
        options?: boolean | AddEventListenerOptions,
    ): void;
    addEventListener(
        type: string,
        listener: EventListenerOrEventListenerObject | null,
        options?: boolean | AddEventListenerOptions,
    ): void;
}

/** A clock that keeps itself synchronised. Most programs want the shared one, the default export. */
export class NTPClock extends EventTarget implements Clock {
    /**
     * @throws TypeError where the configuration names no way to the time; its name is "NtsError"
     * where that would have to be proved by NTS.
     */
    constructor(options?: Configuration | Record<string, never>);
    now(): number | null;
    nowISO(): string | null;
    read(): Reading | null;
    stamp(): ClockStamp;
    at(performanceMs: number): Reading | null;
    waitSynced(options?: { timeout?: number; signal?: AbortSignal }): Promise<boolean>;
    earliest(): number | null;
    latest(): number | null;
    isPast(timeMs: number): boolean | null;
    isFuture(timeMs: number): boolean | null;
    waitUntilPast(
        timeMs: number,
        options?: { timeout?: number; signal?: AbortSignal },
    ): Promise<Reading>;
    sync(): Promise<boolean>;
    startAutoSync(): void;
    stopAutoSync(): void;
    getStatus(): Status;
    /**
     * Chooses the one way to the time. Another than before is a fresh start in a new epoch; the
     * same changes nothing.
     * @throws TypeError where it is no way to the time; its name is "NtsError" where that would
     * have to be proved by NTS.
     */
    configure(options: Configuration): void;
    /**
     * Requests go over a connection that the page already has. The sender returns false, or throws,
     * where it cannot send; replies come in by `handleServerSync`.
     */
    setClockSyncSender(sender: (message: ClockSyncRequest) => unknown): void;
    /** A reply (parsed JSON) came over the page's connection; call it first thing. */
    handleServerSync(payload: unknown): void;
    /** Called with the reason and its code whenever an attempt fails; null for nobody. */
    onClockSyncFailure(callback: ((error: string, code: FailureCode) => void) | null): void;
    addEventListener: Clock['addEventListener'];
}

/** A clock that tests set by hand. Starts unsynchronised; time stands still between calls. */
export class ManualClock extends EventTarget implements Clock {
    constructor();
    /** It is `timeMs` now; an earlier time than before begins a new epoch. */
    set(timeMs: number, errors?: { maxErrorMs?: number; estErrorMs?: number }): void;
    /** This many milliseconds pass. */
    advance(ms: number): void;
    /** From now on there is no reading. */
    fail(error?: string, code?: FailureCode): void;
    now(): number | null;
    nowISO(): string | null;
    read(): Reading | null;
    stamp(): ClockStamp;
    at(performanceMs: number): Reading | null;
    waitSynced(options?: { timeout?: number; signal?: AbortSignal }): Promise<boolean>;
    earliest(): number | null;
    latest(): number | null;
    isPast(timeMs: number): boolean | null;
    isFuture(timeMs: number): boolean | null;
    waitUntilPast(
        timeMs: number,
        options?: { timeout?: number; signal?: AbortSignal },
    ): Promise<Reading>;
    sync(): Promise<boolean>;
    startAutoSync(): void;
    stopAutoSync(): void;
    getStatus(): Status;
    addEventListener: Clock['addEventListener'];
}

/** The shared clock: one to a page, worker or process, however often it is imported. */
export const ntpClock: NTPClock;
export default ntpClock;
