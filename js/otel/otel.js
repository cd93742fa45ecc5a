// OpenTelemetry's spans, logs and metrics in true time: install() finds the SDK's providers.

import ntpClock from './ntp-clock.js';
import { Dates } from './dates.js';
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

    constructor({ clock = ntpClock, waitMs, maxItems, maxBytes } = {}) {
        const dates = new Dates(clock);
        const limits = { waitMs, items: maxItems, bytes: maxBytes };
        for (const name in limits) {
            const limit = limits[name];
            if (limit === undefined) delete limits[name];
            else if (!(typeof limit === 'number' && limit >= 0)) {
                throw new TypeError(`${name} is a number from 0 on, not ${limit}`);
            }
        }
        const stamp = () => clock.stamp();
        const relative = new Relative({
            stamp,
            counterAt: (ms) => dates.counterAt(ms),
            load: async () => (await import('./order.js')).Links,
        });
        const order = (span) => relative.attributes(span);
        this.#exporters = new Exporters({ dates, limits, order, failed });
        this.#hooks = { spans: spanHook(dates), logs: logHook(dates) };
        listen({
            tracers: (provider) => this.tracers(provider),
            loggers: (provider) => this.loggers(provider),
            meters: (provider) => this.meters(provider),
            propagator: (propagator) => relative.propagator(propagator),
        });
        const isNode = typeof process === 'object' && process.versions?.node !== undefined;
        if (isNode) this.#inNode(relative, stamp);
        else this.#inPage(relative);
    }

    #inNode(relative, stamp) {
        const channels = process.getBuiltinModule?.('node:diagnostics_channel');
        if (channels !== undefined) wireNode(channels, relative, stamp);
        // A program that ends of itself has nothing left to wait with.
        process.on('beforeExit', () => this.#exporters.leaveNow());
    }

    #inPage(relative) {
        wireFetch(relative);
        if (typeof addEventListener === 'function' && typeof document === 'object') {
            addEventListener('pagehide', () => this.#exporters.leaveNow());
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

/** Telemetry goes on; who wants to know why its times are wrong finds it in the log, once. */
let told = false;
function failed(error) {
    if (told) return;
    told = true;
    console.warn(`ntp-clock: a batch for OpenTelemetry left late, or without true time: ${error}`);
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
