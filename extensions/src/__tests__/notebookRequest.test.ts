/** What a notebook remembers of its kernel's job. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chosenIn, withChosen } from '../notebookRequest.ts';

test('what was chosen is kept beside what else stands there, and goes without a trace', () => {
  const chosen = { preset: 'gpu', time: 7200 };
  const kept = withChosen({ other: 1, kernel: { more: 2 } }, chosen);
  assert.deepEqual(kept, { other: 1, kernel: { more: 2, request: chosen } });
  assert.deepEqual(chosenIn(kept), chosen);
  assert.deepEqual(withChosen(kept, null), { other: 1, kernel: { more: 2 } });
  assert.equal(withChosen(withChosen(undefined, chosen), null), undefined);
});

test('metadata of another shape is no request', () => {
  for (const metadata of [
    undefined,
    null,
    'gpu',
    [],
    {},
    { kernel: null },
    { kernel: { request: 'gpu' } },
    { kernel: { request: ['gpu'] } }
  ]) {
    assert.equal(chosenIn(metadata), null);
  }
  assert.deepEqual(
    chosenIn({ kernel: { request: { preset: 'gpu', time: {}, cpus: 2 } } }),
    { preset: 'gpu', cpus: 2 }
  );
});
