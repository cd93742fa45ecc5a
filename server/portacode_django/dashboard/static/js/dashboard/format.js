/** Numbers and times in words that people read. */

/** A duration with its unit: `8.42 ms`, `340 µs`, `2.15 s`. */
export function duration(ms) {
    if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
    const size = Math.abs(ms);
    if (size >= 120_000) return `${digits(ms / 60_000)} min`;
    if (size >= 1000) return `${digits(ms / 1000)} s`;
    if (size >= 1 || size === 0) return `${digits(ms)} ms`;
    return `${digits(ms * 1000)} µs`;
}

/** Three digits that count. */
export function digits(value) {
    const size = Math.abs(value);
    const text = size.toFixed(size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : 2);
    // A sign of its own width, and none before what has been rounded to nothing.
    return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** A long time to the digit that its error leaves, and the error: `+81234.567891 s ± 12.0 µs`. */
export function exactly(ms, errorMs) {
    const size = Math.max(errorMs ?? 0, 1e-6) / 1000;
    const decimals = Math.min(Math.max(1 - Math.floor(Math.log10(size)), 0), 9);
    const text = Math.abs(ms / 1000).toFixed(decimals);
    // A narrow card breaks it before the error, and nowhere else.
    const error = errorMs === null ? '' : ` ±\u00a0${duration(errorMs).replace(' ', '\u00a0')}`;
    return `${ms < 0 ? '−' : '+'}${text}\u00a0s${error}`;
}

/** How a system clock stands to true time, from synchronised less system time. */
export function offBy(offsetMs) {
    if (offsetMs === null || offsetMs === undefined) return 'unknown';
    return `${duration(Math.abs(offsetMs))} ${offsetMs < 0 ? 'fast' : 'slow'}`;
}

/** `22:21:33`, and the milliseconds apart. */
export function timeOfDay(ms) {
    const text = new Date(ms).toISOString();
    return { seconds: text.slice(11, 19), millis: text.slice(19, 23) };
}

export function ago(ms) {
    if (ms < 1500) return 'just now';
    return `${duration(Math.round(ms / 1000) * 1000)} ago`;
}

/** With a full stop, unless it ends in one or its like. */
export function ended(sentence) {
    return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

export function plural(count, one, many = `${one}s`) {
    return `${count} ${count === 1 ? one : many}`;
}
