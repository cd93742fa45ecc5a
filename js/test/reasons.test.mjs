// The dashboard's words for reasons: names that people gave take part in no pattern.

import assert from 'node:assert/strict';
import { register } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT } from './support.mjs';

// A page has the modules that the project shares below /static/.
const shared = pathToFileURL(join(ROOT, 'portacode/static/')).href;
const hook = `export const resolve = (name, context, next) =>
    next(name.replace(/^\\/static\\//, ${JSON.stringify(shared)}), context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
const { inWords } = await import(
    '../../server/portacode_django/dashboard/static/js/dashboard/reasons.js'
);

const [ONE, OTHER] = ['0123456789abcdef~500', 'fedcba9876543210~50'];

test('a hyphen in a name does not move the dash of a link', () => {
    const names = new Map([
        [ONE, 'my-old-laptop'],
        [OTHER, 'server-2'],
    ]);
    assert.equal(inWords(`link ${ONE}-${OTHER}`, names), 'link my-old-laptop–server-2');
    const scoped = new Map([[`eu-west-1/${OTHER}`, 'server']]);
    assert.equal(inWords(`link ${ONE}-eu-west-1/${OTHER}`, scoped), `link ${ONE}–server`);
    assert.equal(inWords(`link eu-west-1/${OTHER}-${ONE}`, scoped), `link server–${ONE}`);
});

test('a name is shown as it is, whatever signs it has', () => {
    for (const name of ['$&', "$'$`$1", 'a$$b', OTHER]) {
        const names = new Map([
            [ONE, name],
            [OTHER, 'server'],
        ]);
        assert.equal(inWords(`link ${ONE}-${OTHER}`, names), `link ${name}–server`);
        assert.equal(inWords(`reading of ${ONE}`, names), `reading of ${name}`);
    }
});

test('a counter that is nobody’s keeps its id', () => {
    assert.equal(inWords(`link ${ONE}-${OTHER}`, new Map()), `link ${ONE}–${OTHER}`);
    assert.equal(inWords('synchronised time', new Map()), 'synchronised time');
});
