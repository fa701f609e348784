/** What stands in Lab of kernels that are about to end, and for how long. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { PromiseDelegate } from '@lumino/coreutils';

import { KernelWarnings } from '../kernelWarnings.ts';
import { makeKernel } from './support.ts';

let standing: Map<string, string>;
let count: number;
let warnings: KernelWarnings;

beforeEach(() => {
  standing = new Map();
  count = 0;
  warnings = new KernelWarnings({
    show: (text, kept) => {
      standing.set(`n${++count}`, kept ? `${text} [Keep it]` : text);
      return `n${count}`;
    },
    change: (id, text) => standing.has(id) && standing.set(id, text),
    dismiss: id => standing.delete(id)
  });
});

const shown = () => [...standing.values()];
const kernel = makeKernel({ ending: 'time' });
const ended = makeKernel({ ending: 'time', state: 'ended' });
const idle = (ends: number | null) =>
  makeKernel({ idle: { after: 3600, ends } });
const nothing = () => Promise.resolve('');

test('a warning stands before its notebook is saved, which it says afterwards', async () => {
  const saving = new PromiseDelegate<string>();
  const told = warnings.end(kernel, 'It ends now.', () => saving.promise);
  assert.deepEqual(shown(), ['It ends now.']);
  saving.resolve('Saved 1 document.');
  await told;
  assert.deepEqual(shown(), ['It ends now. Saved 1 document.']);
  assert.equal(count, 1);
});

test('an end that comes while the notebook is saved takes the warning down for good', async () => {
  const saving = new PromiseDelegate<string>();
  const told = warnings.end(kernel, 'It ends now.', () => saving.promise);
  warnings.see([ended]);
  assert.deepEqual(shown(), []);
  saving.resolve('Saved 1 document.');
  await told;
  assert.deepEqual(shown(), []);
});

test('what was saved is not added to a later warning, nor to one that a person closed', async () => {
  const saving = new PromiseDelegate<string>();
  const first = warnings.end(kernel, 'Soon.', () => saving.promise);
  await warnings.end(kernel, 'Now.', nothing);
  saving.resolve('Saved 1 document.');
  await first;
  assert.deepEqual(shown(), ['Now.']);
  standing.clear();
  await warnings.end(kernel, 'Now.', async () => {
    standing.clear();
    return Promise.resolve('Saved 1 document.');
  });
  assert.deepEqual(shown(), []);
});

test('a warning goes with its kernel, whether that has ended or left the list', async () => {
  for (const list of [[ended], []]) {
    await warnings.end(kernel, 'Now.', nothing);
    warnings.see([kernel]);
    assert.deepEqual(shown(), ['Now.']);
    warnings.see(list);
    assert.deepEqual(shown(), []);
  }
});

test('one of an idle kernel can be answered, and goes when that works again', async () => {
  warnings.idle(idle(5000), 'Idle.');
  warnings.see([idle(5000)]);
  assert.deepEqual(shown(), ['Idle. [Keep it]']);
  warnings.see([idle(null)]);
  assert.deepEqual(shown(), []);
  warnings.idle(idle(5000), 'Idle.');
  await warnings.end(kernel, 'Now.', nothing);
  assert.deepEqual(shown(), ['Now.']);
});
