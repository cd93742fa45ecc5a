// Hears of the providers and the propagator that the program registers, before or after.
//
// OpenTelemetry's API keeps them at well-known symbols, so that all of its copies in a process share
// them; no copy of it is needed here.

const API = Symbol.for('opentelemetry.js.api.1');
const LOGS = Symbol.for('io.opentelemetry.js.api.logs');
/** The version of the logs' global that the SDK fills, by which one asks for it. */
const LOGS_VERSION = 1;

/** Calls `take` with what is there and with what comes; what it gives back stands there then. */
function watch(object, key, take) {
    const own = Object.getOwnPropertyDescriptor(object, key);
    if (own !== undefined && !own.configurable) return;
    let value = object[key];
    if (value !== undefined) value = take(value);
    Object.defineProperty(object, key, {
        configurable: true,
        enumerable: own?.enumerable ?? true,
        get: () => value,
        set(next) {
            value = next === undefined ? next : take(next);
        },
    });
}

const asNow = (work) => work();

/**
 * What runs work in the context that is active now: the SDK exports in one in which nothing is
 * traced, for else each request of an exporter would make spans, and these more requests.
 */
export function contextNow() {
    const manager = globalThis[API]?.context;
    const context = manager?.active();
    return context === undefined ? asNow : (work) => manager.with(context, work);
}

/** `setGlobalTracerProvider` registers a proxy, and tells it the provider afterwards. */
function watchTracers(proxy, take) {
    if (typeof proxy.getDelegate !== 'function' || typeof proxy.setDelegate !== 'function') {
        take(proxy);
        return proxy;
    }
    take(proxy.getDelegate());
    if (Object.hasOwn(proxy, 'setDelegate')) return proxy;
    const { setDelegate } = proxy;
    proxy.setDelegate = function (provider) {
        setDelegate.call(this, provider);
        take(provider);
    };
    return proxy;
}

/** `tracers`, `loggers` and `meters` get providers; `propagator` gives back what takes its place. */
export function listen({ tracers, loggers, meters, propagator }) {
    const passed = (take) => (provider) => {
        take(provider);
        return provider;
    };
    watch(globalThis, API, (registry) => {
        watch(registry, 'trace', (proxy) => watchTracers(proxy, tracers));
        watch(registry, 'metrics', passed(meters));
        // Here the API keeps it from 1.10 on, and its logs apart before that.
        watch(registry, 'logs', passed(loggers));
        watch(registry, 'propagation', propagator);
        return registry;
    });
    watch(globalThis, LOGS, (getter) => {
        loggers(getter(LOGS_VERSION));
        return getter;
    });
}
