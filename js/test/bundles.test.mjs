// The module in a bundle of webpack's, as frameworks make them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import webpack from 'webpack';
import { faultyServer, folder, MODULE } from './support.mjs';

const PROGRAM = `import clock from ${JSON.stringify(MODULE)};
clock.waitSynced({ timeout: 60_000 }).then((synced) => {
    console.log(synced, clock.getStatus().lastError);
    process.exit(0);
});`;

/** The bundle's file, made without a warning. */
async function bundled(here, target) {
    const entry = join(here, 'entry.mjs');
    writeFileSync(entry, PROGRAM);
    const output = { path: here, filename: `${target}.cjs` };
    const stats = await new Promise((resolve, reject) =>
        webpack({ mode: 'production', target, entry, output }, (error, stats) =>
            error ? reject(error) : resolve(stats.toJson()),
        ),
    );
    assert.deepEqual([stats.errors, stats.warnings], [[], []]);
    return join(here, output.filename);
}

test('webpack bundles it for browsers without a warning', async (t) => {
    await bundled(folder(t), 'web');
});

for (const [what, before] of [
    ['Node', ''],
    ['an older Node, which lacks getBuiltinModule', 'delete process.getBuiltinModule;'],
]) {
    test(`webpack's bundle for ${what} asks its server`, async (t) => {
        const file = await bundled(folder(t), 'node');
        const args = ['--eval', `${before} require(${JSON.stringify(file)})`];
        const env = { ...process.env, PORTACODE_NTP_SERVER: await faultyServer(t) };
        const ran = spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 60_000 });
        assert.deepEqual([ran.status, ran.stderr, ran.stdout], [0, '', 'true null\n']);
    });
}
