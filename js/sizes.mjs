// What the bytes of a module are: its scripts by file, and its WebAssembly by Rust's modules.

/** A table of the module: `wasm` as shipped, `named` the same with names, esbuild's `metafile`. */
export function table({ wasm, named, metafile, text }) {
    const modules = byModule(wasm, namesOf(named));
    const [{ inputs }] = Object.values(metafile.outputs);
    // Deflated together: each byte of wasm takes as much of the text as any other.
    const each = inputs['virtual:wasm'].bytesInOutput / wasm.length;
    const scripts = Object.entries(inputs)
        .filter(([name]) => name !== 'virtual:wasm')
        .map(([name, { bytesInOutput }]) => [
            `\`${name.replace(/^.*?js\/(?=src|order|otel)/, '')}\``,
            bytesInOutput,
        ]);
    const sum = (rows, place) => rows.reduce((all, row) => all + row[place], 0);
    const rows = [
        ...scripts.map(([name, bytes]) => [name, '', bytes]),
        ...[...modules].map(([name, raw]) => [`wasm: \`${name}\``, raw, Math.round(raw * each)]),
    ].sort((a, b) => b[2] - a[2]);
    const line = (cells) => `| ${cells.join(' | ')} |`;
    const rest = text.length - sum(rows, 2);
    return [
        line(['part', 'bytes of wasm', 'bytes in the module']),
        '|---|---:|---:|',
        ...rows.map(line),
        line(['what binds them', '', rest]),
        line(['all', wasm.length, text.length]),
    ].join('\n');
}

/** Rust's modules: how many bytes their functions have. */
function byModule(wasm, names) {
    const modules = new Map();
    const count = (name, from, to) => modules.set(name, (modules.get(name) ?? 0) + to - from);
    count('header', 0, sections(wasm)[0].at);
    for (const { id, at, content, end } of sections(wasm)) {
        if (id !== CODE) {
            count(id === DATA ? 'constants' : 'types, exports, memory', at, end);
            continue;
        }
        let { number: functions, next } = numberAt(wasm, content);
        count('types, exports, memory', at, next);
        for (let index = 0; index < functions; index++) {
            const body = numberAt(wasm, next);
            const after = body.next + body.number;
            count(moduleOf(names.get(index) ?? '?'), next, after);
            next = after;
        }
    }
    return modules;
}

/** The names of a module's functions, by their numbers; it imports none. */
function namesOf(named) {
    const names = new Map();
    const text = (at, length) => new TextDecoder().decode(named.subarray(at, at + length));
    for (const { id, content, end } of sections(named)) {
        const title = numberAt(named, content);
        if (id !== 0 || text(title.next, title.number) !== 'name') continue;
        for (let at = title.next + title.number; at < end; ) {
            const size = numberAt(named, at + 1);
            if (named[at] === FUNCTION_NAMES) {
                let { number: left, next } = numberAt(named, size.next);
                for (; left > 0; left--) {
                    const index = numberAt(named, next);
                    const length = numberAt(named, index.next);
                    names.set(index.number, text(length.next, length.number));
                    next = length.next + length.number;
                }
            }
            at = size.next + size.number;
        }
    }
    return names;
}

/** The Rust module of a mangled name; exports have plain names. */
function moduleOf(name) {
    if (!/^_(ZN|R)/.test(name))
        return /^(__|f(max|min))|mem/.test(name) ? 'the compiler' : 'exports';
    const path = [];
    for (let rest = name.slice(3); /^\d/.test(rest); ) {
        const length = parseInt(rest, 10);
        const from = String(length).length;
        path.push(rest.slice(from, from + length));
        rest = rest.slice(from + length);
    }
    const inside = /(ntp_clock_\w+|core|libm)((?:\.\.[a-z_]+)*)/.exec(path[0] ?? '');
    if (inside && path[0].startsWith('_')) return (inside[1] + inside[2]).replaceAll('..', '::');
    const own = path.slice(0, -2).filter((part) => /^[a-z][a-z_0-9]*$/.test(part));
    return own.slice(0, 3).join('::') || 'the compiler';
}

/** The sections of a module: their numbers, and where they begin, have their content and end. */
function sections(module) {
    const found = [];
    for (let at = HEADER; at < module.length; ) {
        const { number, next } = numberAt(module, at + 1);
        found.push({ id: module[at], at, content: next, end: next + number });
        at = next + number;
    }
    return found;
}

/** A number of seven bits to a byte, and where what follows it is. */
function numberAt(module, at) {
    let number = 0;
    for (let shift = 0; ; shift += 7) {
        const byte = module[at++];
        number += (byte & 127) * 2 ** shift;
        if (byte < 128) return { number, next: at };
    }
}

const HEADER = 8;
const CODE = 10;
const DATA = 11;
const FUNCTION_NAMES = 1;
