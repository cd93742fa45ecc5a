import type { Clock } from './ntp-clock.js';

/** What `install()` is told. All of it may be left out. */
export interface InstallOptions {
    /** The clock whose time it is; the shared one by itself. */
    clock?: Clock;
    /** How long the oldest item waits for the first synchronisation, milliseconds; 10 000. */
    waitMs?: number;
    /** How many items of one exporter wait at most; 2048. */
    maxItems?: number;
    /** How much of one exporter waits at most, bytes as estimated; 4 MiB. */
    maxBytes?: number;
    /** Providers that are not registered with OpenTelemetry's API: those that are, are found. */
    tracerProvider?: object;
    loggerProvider?: object;
    meterProvider?: object;
}

/**
 * Spans, log records and metrics of OpenTelemetry's SDK leave in true time, with how wrong that may
 * be: of the providers that are registered and of those that will be. Once is enough; a second call
 * changes no options, and takes the providers that it names.
 * @throws TypeError where a provider is not one of the SDK's, or a limit is no number.
 */
export function install(options?: InstallOptions): void;
