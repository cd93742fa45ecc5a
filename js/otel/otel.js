// OpenTelemetry's spans, logs and metrics in true time: install() finds the SDK's providers.

import ntpClock from './ntp-clock.js';
import { Dates, NoDates } from './dates.js';
import { Exporters } from './exporters.js';
import { listen } from './globals.js';
import { logHook, spanHook } from './marks.js';
import { Relative } from './relative.js';
import { wireFetch, wireNode } from './wires.js';
import { wrapLoggerProvider, wrapMeterProvider, wrapTracerProvider } from './wrap.js';

const KEY = Symbol.for('portacode.ntp-clock.otel');

/** One to a process or page, however often this is imported: an item is dated once. */
class Installation {
    #exporters;
    #hooks;

    constructor({ clock = ntpClock, waitMs, maxItems, maxBytes, exchanges = true } = {}) {
        const limits = { waitMs, items: maxItems, bytes: maxBytes };
        for (const name in limits) {
            const limit = limits[name];
            if (limit === undefined) delete limits[name];
            else if (!(typeof limit === 'number' && limit >= 0)) {
                throw new TypeError(`${name} must be a number of 0 or more, not ${limit}`);
            }
        }
        const dates = datesBy(clock);
        const stamp = () => clock.stamp();
        const relative = new Relative({
            stamp,
            counterAt: (ms) => dates.counterAt(ms),
            load: async () => (await import('./order.js')).Links,
        });
        const order = exchanges ? (span) => relative.attributes(span) : () => null;
        this.#exporters = new Exporters({ dates, limits, order, failed });
        this.#hooks = { spans: spanHook(dates), logs: logHook(dates) };
        listen({
            tracers: (provider) => this.tracers(provider),
            loggers: (provider) => this.loggers(provider),
            meters: (provider) => this.meters(provider),
            propagator: (own) => (exchanges ? relative.propagator(own) : own),
        });
        const isNode = typeof process === 'object' && process.versions?.node !== undefined;
        if (isNode) {
            process.on('beforeExit', () => this.#exporters.leaveNow());
        } else if (typeof addEventListener === 'function' && typeof document === 'object') {
            addEventListener('pagehide', () => this.#exporters.leaveAtOnce());
        }
        if (!exchanges) return;
        if (!isNode) wireFetch(relative);
        else {
            const channels = process.getBuiltinModule?.('node:diagnostics_channel');
            if (channels !== undefined) wireNode(channels, relative, stamp);
        }
    }

    tracers(provider) {
        const gateOf = (exporter) => this.#exporters.ofSpans(exporter);
        return wrapTracerProvider(provider, gateOf, this.#hooks.spans) !== null;
    }

    loggers(provider) {
        const gateOf = (exporter) => this.#exporters.ofLogs(exporter);
        return wrapLoggerProvider(provider, gateOf, this.#hooks.logs) !== null;
    }

    meters(provider) {
        const gateOf = (exporter) => this.#exporters.ofMetrics(exporter);
        return wrapMeterProvider(provider, gateOf) !== null;
    }
}

/** A page goes on without true times where it does not let WebAssembly be compiled. */
function datesBy(clock) {
    try {
        return new Dates(clock);
    } catch (error) {
        if (!(error instanceof WebAssembly.CompileError)) throw error;
        console.warn(
            `ntp-clock: the times of OpenTelemetry are not corrected, because this page forbids WebAssembly (${error.message}): add 'wasm-unsafe-eval' to script-src of its Content-Security-Policy`,
        );
        return new NoDates();
    }
}

/** Telemetry goes on; who wants to know why its times are wrong finds it in the log, once. */
let warned = false;
function failed(error) {
    if (warned) return;
    warned = true;
    console.warn(
        `ntp-clock: a batch for OpenTelemetry was sent late, or without true time: ${error}`,
    );
}

export function install({ tracerProvider, loggerProvider, meterProvider, ...options } = {}) {
    const installed = (globalThis[KEY] ??= new Installation(options));
    for (const [name, provider, take] of [
        ['tracerProvider', tracerProvider, 'tracers'],
        ['loggerProvider', loggerProvider, 'loggers'],
        ['meterProvider', meterProvider, 'meters'],
    ]) {
        if (provider !== undefined && !installed[take](provider)) {
            throw new TypeError(`${name} is not one of OpenTelemetry's SDK 2.x`);
        }
    }
}
