// Why there is no time: words for people, and a code that stays the same from version to version.

/** @typedef {{code: string, text: string}} Failure */

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
