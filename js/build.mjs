// Puts the core's wasm and the sources into one module: node build.mjs WASM OUT

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { inflate } from './src/inflate.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const [wasmFile, outFile] = process.argv.slice(2);

const optimised = (file) => {
    const folder = mkdtempSync(join(tmpdir(), 'ntp-clock-'));
    try {
        const out = join(folder, 'out.wasm');
        const wasmOpt = join(here, 'node_modules/binaryen/bin/wasm-opt');
        const features = ['bulk-memory', 'nontrapping-float-to-int', 'sign-ext', 'multivalue'];
        const strip = ['--strip-debug', '--strip-producers', '--strip-target-features'];
        const args = ['-Oz', '--converge', ...features.map((name) => `--enable-${name}`), ...strip];
        execFileSync(process.execPath, [wasmOpt, file, ...args, '-o', out], { stdio: 'inherit' });
        return readFileSync(out);
    } finally {
        rmSync(folder, { recursive: true });
    }
};

const wasm = optimised(wasmFile);
const deflated = deflateRawSync(wasm, { level: 9, memLevel: 9 });
if (!wasm.equals(inflate(deflated, wasm.length))) throw new Error('src/inflate.js is wrong');
const { outputFiles } = await build({
    entryPoints: [join(here, 'src/index.js')],
    bundle: true,
    format: 'esm',
    minify: true,
    charset: 'utf8',
    target: ['es2022'],
    legalComments: 'none',
    write: false,
    plugins: [
        {
            name: 'wasm',
            setup({ onResolve, onLoad }) {
                onResolve({ filter: /^virtual:wasm$/ }, () => ({
                    path: 'wasm',
                    namespace: 'wasm',
                }));
                onLoad({ filter: /.*/, namespace: 'wasm' }, () => ({
                    contents:
                        `export const length = ${wasm.length};\n` +
                        `export const base64 = '${deflated.toString('base64')}';`,
                }));
            },
        },
    ],
});
const banner = `// portacode ntp-clock ${process.env.NTP_CLOCK_VERSION}; sources ${process.env.NTP_CLOCK_SOURCES}\n`;
const text = banner + outputFiles[0].text;
writeFileSync(outFile, text);
const size = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
console.log(
    `wasm ${size(wasm.length)}; module ${size(text.length)}, ${size(gzipSync(text, { level: 9 }).length)} gzipped`,
);
