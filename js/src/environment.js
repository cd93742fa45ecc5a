// What surrounds us: Node or a browser, its modules, its page.

export const node =
    typeof process === 'object' && process.versions?.node && !process.versions.electron
        ? process
        : null;

/** A module of Node's, without an import that bundlers and browsers would trip over. */
export async function nodeModule(name) {
    if (node.getBuiltinModule) return node.getBuiltinModule(name);
    const hidden = name;
    return import(/* @vite-ignore */ /* webpackIgnore: true */ hidden);
}

/** A timer that keeps no process alive. */
export function timer(callback, ms) {
    // Longer ones would fire at once.
    const handle = setTimeout(callback, Math.min(Math.max(ms, 0), 2 ** 31 - 1));
    handle.unref?.();
    return handle;
}

/** The relay that the page's author named: `<meta name="ntp-clock-relay" content="...">`. */
export function relayOfPage() {
    if (typeof document !== 'object') return null;
    return document.querySelector('meta[name="ntp-clock-relay"]')?.content || null;
}
