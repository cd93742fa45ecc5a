// Puts gates around the exporters that a provider's processors and readers hold, and hooks before
// them. The SDK has no public way to do either with a provider that is made.

const wrapped = new WeakSet();

/** What holds an exporter, of a processor that may be made of others. */
function* holders(processor) {
    const others = processor?._spanProcessors ?? processor?.processors;
    if (Array.isArray(others)) {
        for (const other of others) yield* holders(other);
    } else if (typeof processor?._exporter?.export === 'function') {
        yield processor;
    }
}

/** Gates for those that have none yet. */
function gatesFor(all, gateOf) {
    const gates = [];
    for (const holder of all) {
        if (wrapped.has(holder)) continue;
        wrapped.add(holder);
        gates.push(wrapHolder(holder, gateOf));
    }
    return gates;
}

function wrapHolder(holder, gateOf) {
    const gate = gateOf(holder._exporter);
    holder._exporter = gate;
    const { forceFlush } = holder;
    // Not every processor's flush flushes its exporter.
    holder.forceFlush = async function (...args) {
        await forceFlush.apply(this, args);
        await gate.forceFlush();
    };
    return gate;
}

/** Puts the hook in front, in a list of its own: the program may have made the other one. */
function hookUp(multi, list, hook) {
    if (hook === null || !Array.isArray(multi?.[list]) || wrapped.has(multi)) return;
    wrapped.add(multi);
    multi[list] = [hook, ...multi[list]];
}

/**
 * Puts `gateOf(exporter)` in place of each exporter of a tracer provider's processors, and the hook
 * before them; gives the gates. What has one already is left alone. Null where the provider is not
 * one of the SDK's, or has other fields.
 */
export function wrapTracerProvider(provider, gateOf, hook = null) {
    const multi = provider?._activeSpanProcessor;
    if (multi === undefined) return null;
    const gates = gatesFor(holders(multi), gateOf);
    hookUp(multi, '_spanProcessors', hook);
    return gates;
}

/** The same of a logger provider. */
export function wrapLoggerProvider(provider, gateOf, hook = null) {
    const multi = provider?._sharedState?.activeProcessor;
    if (multi === undefined) return null;
    const gates = gatesFor(holders(multi), gateOf);
    hookUp(multi, 'processors', hook);
    return gates;
}

/** The same of a meter provider's readers, which need no hook. */
export function wrapMeterProvider(provider, gateOf) {
    const collectors = provider?._sharedState?.metricCollectors;
    if (!Array.isArray(collectors)) return null;
    const readers = collectors.map(({ _metricReader: reader }) => reader);
    return gatesFor(
        readers.filter((reader) => typeof reader?._exporter?.export === 'function'),
        gateOf,
    );
}
