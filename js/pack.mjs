// Gathers what npm ships: the modules that cargo xtask js built, their types, the licences.

import { cpSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
mkdirSync(path('dist'), { recursive: true });
for (const name of ['ntp-clock', 'order', 'otel']) {
    for (const file of [`${name}.js`, `${name}.d.ts`]) {
        cpSync(path(`../portacode/static/js/utils/${file}`), path(`dist/${file}`));
    }
}
for (const file of ['register.js', 'register.d.ts'])
    cpSync(path(`otel/${file}`), path(`dist/${file}`));
for (const name of ['LICENSE-APACHE', 'LICENSE-MIT'])
    cpSync(path(`../${name}`), path(`dist/${name}`));
