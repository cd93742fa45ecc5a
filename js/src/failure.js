// Why there is no time: words for people, and a code that stays the same from version to version.

/** @typedef {{code: string, text: string}} Failure */

const CSP_HINT =
    "the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src";

/** A failure that can be thrown. */
export class Trouble extends Error {
    constructor(code, text) {
        super(text);
        this.code = code;
    }
}

/** @returns {Failure} */
export const failure = (code, text) => ({ code, text });

/** What was thrown, as a failure; `before` stands before its words. */
export function failureOf(error, code, before = '') {
    const words = error?.cause?.message || error?.message || String(error);
    return failure(error instanceof Trouble ? error.code : code, before + words);
}

/**
 * An attempt's failure as the engine has it, with what the transport knows about it. Where the
 * engine knows only that nothing of use came, the transport's code says more.
 */
export function explained(engine, trouble) {
    if (!trouble) return engine;
    const vague = ['no_reply', 'not_sent', 'rejected_malformed'].includes(engine.code);
    return failure((vague ? trouble : engine).code, `${engine.text} (${trouble.text})`);
}

/** Why a module of WebAssembly did not become an instance. */
export function cannotStart(error) {
    const message = String(error?.message);
    // Each browser has its own words for it.
    return /unsafe-eval|Content.Security.Policy|\bCSP\b/i.test(message)
        ? failure('wasm_forbidden', CSP_HINT)
        : failure('wasm_failed', `WebAssembly does not start: ${message}`);
}
