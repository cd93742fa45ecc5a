/**
 * JSON as text: what a person types goes out as it was typed, and what comes is shown as it came.
 * JSON.parse makes doubles of all numbers, which 1759639032768445123 is not.
 */

/** A payload that is written already. */
export class JsonText {
    /** Throws a SyntaxError where the text is not JSON. */
    constructor(text) {
        this.text = text.trim();
        JSON.parse(this.text);
    }
}

/** A message's text, with one more member, whose value is a JsonText or any other. */
export function withMember(message, name, value) {
    const text = value instanceof JsonText ? value.text : (JSON.stringify(value) ?? 'null');
    const others = JSON.stringify(message).slice(1, -1);
    return `{${others}${others && ','}${JSON.stringify(name)}:${text}}`;
}

/**
 * The text of an object's member, as it was written; undefined where there is none. Of several of
 * one name the last counts, as it does for JSON.parse, by which the object has been checked.
 */
export function memberText(text, name) {
    let depth = 0;
    let key;
    let value;
    let found;
    for (const { 0: token, index } of text.matchAll(TOKEN)) {
        const closes = token === '}' || token === ']';
        if (closes) depth -= 1;
        if (depth === 0 || (depth === 1 && token === ',')) {
            // Between members, or at either end of the object.
            if (value && key === name) found = text.slice(value.start, value.end);
            key = value = undefined;
        } else if (key === undefined) key = JSON.parse(token);
        else if (value) value.end = index + token.length;
        else if (token !== ':') value = { start: index, end: index + token.length };
        if (token === '{' || token === '[') depth += 1;
    }
    return found;
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[^\s"{}[\]:,]+/gs;
