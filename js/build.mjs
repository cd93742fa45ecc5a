// Puts the core's wasm and the sources into one module, and that into one page; the same of order
// into another, and of OpenTelemetry's part into a third:
// node build.mjs WASM MODULE PAGE ORDER_WASM ORDER_MODULE HISTORY_WASM OTEL_MODULE

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import zopfli from '@gfx/zopfli';
import { build, transform } from 'esbuild';
import { decode, encode } from './src/base85.js';
import { inflate } from './src/inflate.js';
import { table } from './sizes.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const [wasmFile, moduleFile, pageFile, orderWasmFile, orderFile, historyWasmFile, otelFile] =
    process.argv.slice(2);

/** The smallest that wasm-opt makes of it; with the names of its functions, or as it is shipped. */
const optimised = (file, kept = ['--strip-debug']) => {
    const folder = mkdtempSync(join(tmpdir(), 'ntp-clock-'));
    try {
        const out = join(folder, 'out.wasm');
        const wasmOpt = join(here, 'node_modules/binaryen/bin/wasm-opt');
        const features = ['bulk-memory', 'nontrapping-float-to-int', 'sign-ext', 'multivalue'];
        const strip = ['--strip-producers', '--strip-target-features', ...kept];
        const enabled = features.map((name) => `--enable-${name}`);
        const args = ['-Oz', '--converge', '--low-memory-unused', ...enabled, ...strip];
        execFileSync(process.execPath, [wasmOpt, file, ...args, '-o', out], { stdio: 'inherit' });
        return readFileSync(out);
    } finally {
        rmSync(folder, { recursive: true });
    }
};

/** What `virtual:wasm` gives: the deflated bytes as text, and how many they were. */
async function embedded(wasm) {
    // 6 % smaller than zlib's.
    const deflated = encode(await promisify(zopfli.deflate)(wasm, {}));
    if (!wasm.equals(inflate(decode(deflated), wasm.length))) {
        throw new Error('src/base85.js or src/inflate.js is wrong');
    }
    return (
        `export const length = ${wasm.length};\n` +
        `export const deflated = ${JSON.stringify(deflated)};`
    );
}

/** The bundle of this entry, in which `virtual:NAME` imports what `contents` has under this name. */
async function bundled(entry, contents) {
    const namespace = 'virtual';
    const virtual = {
        name: namespace,
        setup({ onResolve, onLoad }) {
            onResolve({ filter: /^virtual:/ }, ({ path }) => ({
                path: path.slice('virtual:'.length),
                namespace,
            }));
            onLoad({ filter: /.*/, namespace }, ({ path }) => ({ contents: contents[path] }));
        },
    };
    const { outputFiles, metafile } = await build({
        entryPoints: [join(here, entry)],
        bundle: true,
        format: 'esm',
        minify: true,
        charset: 'utf8',
        target: ['es2022'],
        legalComments: 'none',
        write: false,
        metafile: true,
        // These stay modules of their own: a page or process has one clock.
        external: ['./ntp-clock.js', './order.js'],
        plugins: [virtual],
    });
    return { code: outputFiles[0].text, metafile };
}

const {
    NTP_CLOCK_VERSION,
    NTP_CLOCK_SOURCES,
    NTP_CLOCK_PAGE_SOURCES,
    NTP_CLOCK_ORDER_SOURCES,
    NTP_CLOCK_OTEL_SOURCES,
    NTP_CLOCK_LAYOUT,
    NTP_CLOCK_SIZES,
} = process.env;
const banner = (what, sources) => `// portacode ${what} ${NTP_CLOCK_VERSION}; sources ${sources}\n`;
/** Minifying drops what keeps other bundlers from following the import of Node's own modules. */
function unfollowed(bundle) {
    const parts = bundle.split(/\bimport\((?=\w+\))/);
    if (parts.length !== 2) throw new Error(`${parts.length - 1} imports of what a variable names`);
    return parts.join('import(/*webpackIgnore:true*//*@vite-ignore*/');
}
const wasm = optimised(wasmFile);
const bundle = await bundled('src/index.js', {
    wasm: await embedded(wasm),
    layout: NTP_CLOCK_LAYOUT,
});
const text = banner('ntp-clock', NTP_CLOCK_SOURCES) + unfollowed(bundle.code);
writeFileSync(moduleFile, text);

const orderWasm = optimised(orderWasmFile);
const orderBundle = await bundled('order/order.js', { wasm: await embedded(orderWasm) });
const order = banner('order', NTP_CLOCK_ORDER_SOURCES) + orderBundle.code;
writeFileSync(orderFile, order);

const historyWasm = optimised(historyWasmFile);
const otelBundle = await bundled('otel/otel.js', { wasm: await embedded(historyWasm) });
const otel = banner('otel', NTP_CLOCK_OTEL_SOURCES) + otelBundle.code;
writeFileSync(otelFile, otel);

const source = (name) => readFileSync(join(here, 'page', name), 'utf8');
// The very module that is shipped, so that the page shows what users have.
const { code: script } = await bundled('page/page.js', { 'ntp-clock': text });
const { code: style } = await transform(source('theme.css') + source('style.css'), {
    loader: 'css',
    minify: true,
});
// Replaced by functions, for `$` means something in a text.
const page = source('index.html')
    .replace(
        '<!doctype html>',
        `$&\n<!-- portacode ntp-clock; sources ${NTP_CLOCK_PAGE_SOURCES} -->`,
    )
    .replace('<!-- style -->', () => `<style>${style.trim()}</style>`)
    .replace('<!-- script -->', () => `<script type="module">${script.trim()}</script>`);
writeFileSync(pageFile, page);

const size = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
const gzipped = (bytes) => size(gzipSync(bytes, { level: 9 }).length);
console.log(
    `wasm ${size(wasm.length)}; module ${size(text.length)}, ${gzipped(text)} gzipped; ` +
        `page ${size(page.length)}, ${gzipped(page)} gzipped; ` +
        `order: wasm ${size(orderWasm.length)}, module ${size(order.length)}, ` +
        `${gzipped(order)} gzipped; ` +
        `otel: wasm ${size(historyWasm.length)}, module ${size(otel.length)}, ` +
        `${gzipped(otel)} gzipped`,
);

if (NTP_CLOCK_SIZES) {
    for (const [name, file, shipped, { metafile }, code] of [
        ['ntp-clock.js', wasmFile, wasm, bundle, text],
        ['order.js', orderWasmFile, orderWasm, orderBundle, order],
        ['otel.js', historyWasmFile, historyWasm, otelBundle, otel],
    ]) {
        console.log(`\n${name}:\n`);
        console.log(table({ wasm: shipped, named: optimised(file, ['-g']), metafile, text: code }));
    }
}
