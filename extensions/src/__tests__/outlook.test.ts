/** What the start form tells of kernels, versions and outlook: the choices, and the sentences. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Kernel, Outlook } from '../contract.ts';
import { choosePreset, inputsFrom, startFrom } from '../form.ts';
import {
  kernelChoices,
  kernelFor,
  outlookLines,
  ownName,
  softwareLines,
  startWords,
  withOwnPresets
} from '../outlook.ts';
import { showClock } from '../quantity.ts';
import { english, GB, makeOffer } from './support.ts';

const kernel = (name: string, changes: Partial<Kernel> = {}): Kernel => ({
  name,
  label: name.toUpperCase(),
  python: `/opt/${name}/bin/python`,
  default: false,
  disabled: null,
  ...changes
});

const outlook = (
  start: Partial<Outlook['start']> = {},
  changes: Partial<Outlook> = {}
): Outlook => ({
  cost: '',
  rate: '',
  too_dear: false,
  start: { kind: 'now', at: null, why: '', ago: 1, ...start },
  free: false,
  room: null,
  rooms: {},
  cap: null,
  ...changes
});

const NOW = 1_800_000_000;
const HOUR = showClock(NOW + 3600, NOW);

test("the kernel is that of the cluster before, else the notebook's, else the usual one", () => {
  const kernels = [
    kernel('usual', { default: true }),
    kernel('a'),
    kernel('b')
  ];
  assert.equal(kernelFor(kernels), 'usual');
  assert.equal(kernelFor(kernels, 'a'), 'a');
  assert.equal(kernelFor(kernels, 'a', 'b'), 'b');
  assert.equal(kernelFor(kernels, 'gone', 'gone too'), 'usual');
});

test('a kernel that cannot be had is not chosen while there is another', () => {
  const broken = { disabled: 'its program is not there' };
  const kernels = [kernel('usual', { default: true, ...broken }), kernel('a')];
  assert.equal(kernelFor(kernels), 'a');
  assert.equal(kernelFor(kernels, 'usual'), 'a');
  assert.equal(kernelFor([kernel('a', broken)]), 'a');
  assert.equal(kernelFor([]), '');
});

test('kernels of the same name are told apart, and one that cannot be had says why', () => {
  const kernels = [
    kernel('a', { label: 'Python 3' }),
    kernel('b', { label: 'Python 3', disabled: 'it lacks dask' }),
    kernel('c')
  ];
  assert.deepEqual(kernelChoices(kernels, english), [
    { value: 'a', label: 'Python 3 (/opt/a/bin/python)', disabled: false },
    {
      value: 'b',
      label: 'Python 3 (/opt/b/bin/python) – it lacks dask',
      disabled: true
    },
    { value: 'c', label: 'C', disabled: false }
  ]);
});

test('versions are told in one line, then what differs', () => {
  const software = {
    kernel: 'a',
    label: 'A',
    versions: { pandas: '3.1.0', python: '3.11.2', dask: '2026.8.0', x: '1' },
    refusal: null,
    notes: ['Versions differ.']
  };
  assert.deepEqual(softwareLines(software, english), [
    'Python 3.11.2, dask 2026.8.0, pandas 3.1.0.',
    'Versions differ.'
  ]);
});

test('the start is told as now, later, refused or not known', () => {
  const said = (start: Partial<Outlook['start']>, free = false) =>
    startWords(outlook(start, { free }), NOW, english);
  const later = { kind: 'later', at: NOW + 3600 } as const;
  assert.equal(said({ kind: 'now' }), 'The first worker can start now.');
  assert.equal(
    said(later),
    `The first worker is expected to start at ${HOUR}.`
  );
  assert.equal(
    said(later, true),
    `The first worker is expected to start by ${HOUR}; what it needs is free.`
  );
  assert.equal(
    said({ kind: 'refused', why: 'no such QOS' }),
    'Such a worker would not be taken: no such QOS'
  );
});

test('a start that is not known says since when, and what was known', () => {
  const said = (start: Partial<Outlook['start']>) =>
    startWords(outlook({ kind: 'unknown', ...start }), NOW, english);
  assert.equal(
    said({ ago: 40.2, at: NOW + 3600 }),
    `When it would start is not known now; 40 s ago it was ${HOUR}.`
  );
  assert.equal(
    said({ ago: 40.2, why: 'Slurm is silent' }),
    'When it would start is not known now (Slurm is silent), last asked 40 s ago.'
  );
  assert.equal(
    said({ ago: null, why: 'the hub is away' }),
    'When it would start is not known now (the hub is away).'
  );
});

test('the price is that of all workers, and it is told how many fit', () => {
  const choice = outlook(
    {},
    {
      room: 2,
      rate: '4 GPU-hours per hour',
      cost: '8 of the 148 GPU-hours that vision has left'
    }
  );
  assert.deepEqual(outlookLines(choice, 4, NOW, english), [
    'The first worker can start now.',
    '2 of 4 fit into what is free.',
    '4 workers: 4 GPU-hours per hour.',
    'To the end of their time: 8 of the 148 GPU-hours that vision has left.'
  ]);
  assert.deepEqual(
    outlookLines(outlook({}, { room: 4 }), 4, NOW, english),
    ['The first worker can start now.'],
    'all of them fit, and nothing is counted'
  );
  assert.ok(
    outlookLines(outlook({}, { room: 0 }), 2, NOW, english).includes(
      'No such worker fits into what is free.'
    )
  );
  const cap = 'Project vision may have 8 GPUs at once.';
  assert.ok(outlookLines(outlook({}, { cap }), 1, NOW, english).includes(cap));
  assert.ok(
    outlookLines(outlook({}, { too_dear: true }), 1, NOW, english).includes(
      'That is more than is left.'
    )
  );
});

test("one's own presets come after the site's and never meet them", () => {
  const offer = makeOffer();
  const preset = {
    name: 'small',
    label: 'small',
    hardware: '2 CPUs, 4 GB for 1 h',
    request: { cpus: 2, memory: 4 * GB, time: 3600, partition: 'gpu' },
    disabled: null
  };
  const stale = { ...preset, name: 'old', disabled: 'CPUs: at most 8.' };
  const all = withOwnPresets({
    offer,
    kernels: [],
    presets: [preset, stale]
  });
  assert.deepEqual(
    all.presets.map(one => [one.name, one.own ?? false]),
    [
      ['small', false],
      ['gpu', false],
      ['whole', false],
      [ownName('small'), true],
      [ownName('old'), true]
    ]
  );
  const chosen = choosePreset(all, inputsFrom(all), ownName('small'));
  assert.deepEqual(startFrom(all, chosen, english), {
    start: { workers: 2, request: preset.request }
  });
  const refused = choosePreset(all, inputsFrom(all), ownName('old'));
  assert.deepEqual(startFrom(all, refused, english), {
    problems: { preset: 'CPUs: at most 8.' }
  });
});
