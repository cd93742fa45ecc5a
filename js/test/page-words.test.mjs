/* What the clock's own page says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sentence } from '../page/words.js';

test('a reason begins with a capital letter, and a URL stays as it is', () => {
    assert.equal(sentence('no reply within 2 s'), 'No reply within 2 s');
    assert.equal(
        sentence('https://x.test/a: Failed to fetch'),
        'https://x.test/a: Failed to fetch',
    );
    assert.equal(sentence(''), '');
});
