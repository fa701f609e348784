/** What is asked for that only stands in a notebook, which anybody may have written. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chosenFrom, CUSTOM, pickedFrom } from '../form.ts';
import { againButton, visibleOf } from '../kernelAgain.ts';
import type { Chosen } from '../kernelContract.ts';
import { english, GB, makeOffer } from './support.ts';

const parts = { offer: makeOffer(), kernels: [], presets: [] };

function click(remembered: Chosen, given: typeof parts | null) {
  const done: unknown[] = [];
  const { order, ...shown } = againButton(
    remembered,
    given,
    { start: chosen => done.push(chosen), ask: () => done.push('dialog') },
    english
  );
  order();
  return { ...shown, done };
}

test('a preset of the site’s starts at once, by its name', () => {
  const { label, opensDialog, done } = click({ preset: 'gpu' }, parts);
  assert.equal(label, 'Run on One GPU');
  assert.deepEqual([opensDialog, done], [false, [{ preset: 'gpu' }]]);
});

test('all else opens the dialog, and starts nothing', () => {
  for (const [remembered, given] of [
    [{ preset: 'gpu', gpus: 8 }, parts],
    [{ gpus: 8, time: 604800, account: 'another' }, parts],
    [{ preset: 'gone' }, parts],
    [{ preset: 'gpu' }, null],
    [{}, parts]
  ] as const) {
    const { label, opensDialog, done } = click({ ...remembered }, given);
    assert.equal(label, 'Run on a compute node…');
    assert.deepEqual([opensDialog, done], [true, ['dialog']]);
  }
});

test('what the form does not show is not asked for; what it shows is', () => {
  const offer = makeOffer();
  const [cpus] = offer.fields;
  offer.fields.push({
    ...cpus,
    name: 'environment',
    type: 'choice',
    label: 'Environment',
    default: ''
  });
  const asked = (remembered: Chosen) =>
    chosenFrom(
      offer,
      pickedFrom(offer, 'python3', visibleOf(offer, remembered)),
      english
    );
  assert.deepEqual(
    asked({ preset: 'gpu', cpus: 7, environment: 'module:evil', nodes: 64 }),
    { chosen: { cpus: 7, memory: 16 * GB, time: 7200, partition: '' } }
  );
  assert.deepEqual(
    asked({ preset: 'gpu', environment: 'module:evil' }),
    { chosen: { preset: 'gpu' } },
    'it is that preset, which is the card that is chosen'
  );
  const { preset } = pickedFrom(offer, 'python3', { preset: 'gpu', cpus: 7 });
  assert.equal(preset, CUSTOM, 'its fields are unfolded');
});

test('what a preset of the site’s asks for is kept, though the form does not show it', () => {
  const offer = makeOffer();
  offer.choices.partition = [];
  const remembered = { cpus: 7, partition: 'cpu' };
  assert.deepEqual(visibleOf(offer, remembered), remembered);
  assert.deepEqual(visibleOf(offer, { cpus: 7, partition: 'other' }), {
    cpus: 7
  });
});
