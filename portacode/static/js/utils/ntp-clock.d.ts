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

/** How the time reaches this clock. */
export type Via = 'ws-relay' | 'http-relay' | 'https' | 'udp' | 'manual';

/** What a clock tells about itself. `null` is what it does not know, or cannot say now. */
export interface Status {
    /**
     * The server whose time it is, with its port where it is not 123. Empty while a relay has not
     * yet said whose time it has.
     */
    readonly server: string;
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
    readonly requests?: number;
    readonly believed?: number;
    /** Replies not believed since the start, by reason. */
    readonly rejections: Readonly<Record<string, number>>;
    /** Why there is no reading, or why the last attempt failed. */
    readonly lastError: string | null;
    /** True time of the next round. */
    readonly nextSync: string | null;
    readonly epoch: number;
}

/** The one way to the time. */
export type Configuration =
    /** URL of a relay: ws:, wss:, http: or https:, or relative to the page. */
    | { relay: string; source?: undefined }
    /**
     * `'cloudflare'` (its HTTPS time), the URL of another such trace, or in Node an NTP server,
     * `host[:port]`.
     */
    | { source: string; relay?: undefined };

/** What a page sends for the clock over its own connection. */
export interface ClockSyncRequest {
    readonly event: 'clock_sync_request';
    readonly request_id: string;
}

export interface ClockEvents {
    /** A round ended with a believed reply. */
    sync: CustomEvent<Reading & { recovered?: boolean }>;
    /** An attempt failed. */
    fail: CustomEvent<{ attempt: number; error: string }>;
    /** Readings may start earlier than before. */
    epoch: CustomEvent<{ epoch: number; reason: string }>;
}

/** What all clocks have. */
export interface Clock extends EventTarget {
    /** Milliseconds since the Unix epoch with a fraction; null while not synchronised. */
    now(): number | null;
    /** `'2025-10-05T04:37:12.768445+00:00'`, always six digits; null while not synchronised. */
    nowISO(): string | null;
    /** The time now with its errors; null while not synchronised. */
    read(): Reading | null;
    /**
     * The time at another moment of `performance.now()`: a span's start, a Resource Timing entry,
     * also from before the first synchronisation. Null where that cannot be said.
     */
    at(performanceMs: number): Reading | null;
    /** Resolves true once there are readings; false after `timeout` ms or when `signal` aborts. */
    waitSynced(options?: { timeout?: number; signal?: AbortSignal }): Promise<boolean>;
    /** Asks the server now; resolves whether a reply was believed. Joins a round under way. */
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
    /** @throws TypeError where the configuration names no way to the time. */
    constructor(options?: Configuration | Record<string, never>);
    now(): number | null;
    nowISO(): string | null;
    read(): Reading | null;
    at(performanceMs: number): Reading | null;
    waitSynced(options?: { timeout?: number; signal?: AbortSignal }): Promise<boolean>;
    sync(): Promise<boolean>;
    startAutoSync(): void;
    stopAutoSync(): void;
    getStatus(): Status;
    /**
     * Chooses the one way to the time; another than before begins a new epoch.
     * @throws TypeError where it is no way to the time.
     */
    configure(options: Configuration): void;
    /**
     * Requests go over a connection that the page already has. The sender returns false, or throws,
     * where it cannot send; replies come in by `handleServerSync`.
     */
    setClockSyncSender(sender: (message: ClockSyncRequest) => unknown): void;
    /** A reply (parsed JSON) came over the page's connection; call it first thing. */
    handleServerSync(payload: unknown): void;
    /** Called with the reason whenever an attempt fails; null for nobody. */
    onClockSyncFailure(callback: ((error: string) => void) | null): void;
    addEventListener: Clock['addEventListener'];
}

/** A clock that tests set by hand. Starts unsynchronised; time stands still between calls. */
export class ManualClock extends EventTarget implements Clock {
    constructor();
    /** It is `timeMs` now; an earlier time than before begins a new epoch. */
    set(timeMs: number, errors?: { maxErrorMs?: number; estErrorMs?: number }): void;
    /** So many milliseconds pass. */
    advance(ms: number): void;
    /** From now on there is no reading. */
    fail(error?: string): void;
    now(): number | null;
    nowISO(): string | null;
    read(): Reading | null;
    at(performanceMs: number): Reading | null;
    waitSynced(options?: { timeout?: number; signal?: AbortSignal }): Promise<boolean>;
    sync(): Promise<boolean>;
    startAutoSync(): void;
    stopAutoSync(): void;
    getStatus(): Status;
    addEventListener: Clock['addEventListener'];
}

/** The shared clock: one to a page, worker or process, however often it is imported. */
export const ntpClock: NTPClock;
export default ntpClock;
