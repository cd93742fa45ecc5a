// What surrounds us: Node or a browser, its modules, its page, its timers.

export const node =
    typeof process === 'object' && process.versions?.node && !process.versions.electron
        ? process
        : null;

// As they were at import: fake timers that tests install later do not hold up this clock.
const { setTimeout: after, clearTimeout, setInterval: every, clearInterval } = globalThis;

/** A module of Node's, without an import that bundlers and browsers would trip over. */
export async function nodeModule(name) {
    if (node.getBuiltinModule) return node.getBuiltinModule(name);
    // build.mjs tells bundlers to leave it alone.
    return import(name);
}

/**
 * By how many parts per million the system may turn `performance.now()`. Linux turns it with the
 * system clock, by up to 500 (macOS and Windows count with what nobody steers). Android and
 * ChromeOS are Linux, and who does not say what it is may be.
 */
export function steeringPpm(platform = platformName()) {
    return /^(darwin|mac|iphone|ipad|win)/i.test(platform) ? 50 : 500;
}

function platformName() {
    const { navigator } = globalThis;
    return node?.platform ?? navigator?.userAgentData?.platform ?? navigator?.platform ?? '';
}

// Longer ones would fire at once.
const LONGEST_MS = 2 ** 31 - 1;

/** A timer that keeps no process alive. */
export function timer(callback, ms) {
    const handle = after(callback, Math.min(Math.max(ms, 0), LONGEST_MS));
    handle.unref?.();
    return handle;
}

export const cancel = (handle) => clearTimeout(handle);

/** In a task of its own, soon; a process does not end before it. */
export const soon = (callback) => after(callback, 0);

/**
 * Keeps a process alive until it is released, which calls nothing; or until `ms` have passed, which
 * calls `elapsed`.
 */
export function wait(ms = Infinity, elapsed) {
    if (ms > LONGEST_MS) {
        const alive = every(() => {}, 1000);
        return () => clearInterval(alive);
    }
    const limit = after(elapsed, ms);
    return () => clearTimeout(limit);
}

/**
 * The relay that the page's author named, as `configure()` has it:
 * `<meta name="ntp-clock-relay" content="URL" data-credentials="same-origin">`.
 */
export function relayOfPage() {
    if (typeof document !== 'object') return null;
    const meta = document.querySelector('meta[name="ntp-clock-relay"]');
    if (!meta?.content) return null;
    return { relay: meta.content, credentials: meta.dataset?.credentials };
}

/**
 * The address that others are relative to. Frames of `srcdoc` have none of their own, but their
 * parent's base; a blob's workers have the origin that made it.
 */
export function addressOfPage() {
    const { location, document } = globalThis;
    const known = [location?.href, document?.baseURI, location?.origin];
    return known.find((address) => /^(https?|file):/.test(address ?? ''));
}
