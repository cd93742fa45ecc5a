import type { Clock } from './ntp-clock.js';

/** Options of `install()`; all are optional. */
export interface InstallOptions {
    /** The clock whose time it is; the shared one by default. */
    clock?: Clock;
    /** How long the oldest item waits for the first synchronisation, milliseconds; 10 000. */
    waitMs?: number;
    /** How many items of one exporter wait at most; 2048. */
    maxItems?: number;
    /** How much of one exporter waits at most, bytes as estimated; 4 MiB. */
    maxBytes?: number;
    /**
     * Whether requests carry a member in `tracestate`, and answers a header, from which spans learn
     * whether they began after what their remote parent sent; true.
     */
    exchanges?: boolean;
    /** Providers that are not registered with OpenTelemetry's API: those that are, are found. */
    tracerProvider?: object;
    loggerProvider?: object;
    meterProvider?: object;
}

/**
 * Puts the times of the SDK's spans, log records and metrics into true time (UTC), and adds their
 * errors in nanoseconds (`ntp_clock.*`). It covers the providers that are registered and those that
 * will be. Call it once: later calls ignore options, and take the providers that they name.
 * @example install({ waitMs: 5000 });
 * @throws TypeError where a provider is not one of the SDK's, or a limit is no number.
 */
export function install(options?: InstallOptions): void;
