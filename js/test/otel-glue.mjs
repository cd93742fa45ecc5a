// Files of js/otel/ that need the history's wasm: bundled with the very bytes that are shipped.

import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { build } from 'esbuild';
import { encode } from '../src/base85.js';
import { ManualClock } from './support.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/** What the shipped module compiles. */
async function shippedWasm() {
    const { Module } = WebAssembly;
    let bytes;
    WebAssembly.Module = class extends Module {
        constructor(source) {
            bytes = source;
            super(source);
        }
    };
    try {
        const { install } = await import('../../portacode/static/js/utils/otel.js');
        install({ clock: new ManualClock() });
    } finally {
        WebAssembly.Module = Module;
    }
    return bytes;
}

export async function glue(file) {
    const bytes = await shippedWasm();
    const contents = `export const length = ${bytes.length};
        export const deflated = ${JSON.stringify(encode(deflateRawSync(bytes)))};`;
    const virtual = {
        name: 'virtual',
        setup({ onResolve, onLoad }) {
            onResolve({ filter: /^virtual:wasm$/ }, ({ path }) => ({ path, namespace: 'virtual' }));
            onLoad({ filter: /.*/, namespace: 'virtual' }, () => ({ contents }));
        },
    };
    const { outputFiles } = await build({
        entryPoints: [path(`../otel/${file}`)],
        bundle: true,
        format: 'esm',
        write: false,
        plugins: [virtual],
    });
    const source = Buffer.from(outputFiles[0].text).toString('base64');
    return import(`data:text/javascript;base64,${source}`);
}
