/** The start form: which fields it shows, what it sends, and what it refuses with which sentence. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  CUSTOM,
  choosePreset,
  chosenFrom,
  fieldChoices,
  fieldLabel,
  HERE,
  type Inputs,
  inputsFrom,
  mostWorkers,
  type Picked,
  pickedFrom,
  problemsAt,
  problemsFrom,
  shownFields,
  startFrom
} from '../form.ts';
import { english, GB, makeOffer } from './support.ts';

const offer = makeOffer();
const field = (name: string) => offer.fields.find(one => one.name === name)!;

/** The form with Custom chosen after the default preset, and these texts typed. */
function typed(fields: Record<string, string>, rest: Partial<Inputs> = {}) {
  const custom = choosePreset(offer, inputsFrom(offer), CUSTOM);
  return { ...custom, ...rest, fields: { ...custom.fields, ...fields } };
}

function sent(inputs: Inputs) {
  const result = startFrom(offer, inputs, english);
  assert.ok('start' in result, JSON.stringify(result));
  return result.start;
}

function refused(inputs: Inputs) {
  const result = startFrom(offer, inputs, english);
  assert.ok('problems' in result, JSON.stringify(result));
  return result.problems;
}

test('fields without a choice are not shown', () => {
  assert.deepEqual(
    shownFields(offer).map(one => one.name),
    ['cpus', 'memory', 'time', 'partition']
  );
});

test('each limit stands inside its label', () => {
  const label = (name: string) =>
    fieldLabel(field(name), offer.limits[name], english);
  assert.equal(label('cpus'), 'CPUs (1–8)');
  assert.equal(label('memory'), 'Memory (up to 16 GB)');
  assert.equal(label('time'), 'Time limit');
});

test('a choice can be left open', () => {
  assert.deepEqual(
    fieldChoices(field('partition'), offer, '', english).map(one => one.value),
    ['', 'cpu', 'gpu']
  );
});

test('what is not offered any more is shown as such, and can be chosen away', () => {
  const last = fieldChoices(field('partition'), offer, 'old', english).at(-1);
  assert.deepEqual(last, { value: 'old', label: 'old (not offered)' });
});

test('a fresh form is the default preset with two workers', () => {
  assert.deepEqual(sent(inputsFrom(offer)), {
    workers: 2,
    request: { cpus: 1, memory: 2 * GB, time: 3600, partition: 'cpu' }
  });
});

test('what a preset leaves out is the default of the field, not of the default preset', () => {
  const inputs = choosePreset(offer, inputsFrom(offer), 'gpu');
  assert.deepEqual(sent(inputs).request, {
    cpus: 4,
    memory: 16 * GB,
    time: 7200,
    partition: ''
  });
});

test('a preset that cannot be had is refused with its reason', () => {
  const inputs = { ...inputsFrom(offer), preset: 'whole' };
  assert.deepEqual(refused(inputs), { preset: 'CPUs: at most 8 here' });
});

test('Custom goes on from the card before and sends what differs from the default preset', () => {
  const gpu = choosePreset(offer, inputsFrom(offer), 'gpu');
  const custom = choosePreset(offer, gpu, CUSTOM);
  assert.equal(custom.fields.memory, '16 GB');
  assert.deepEqual(sent(custom).request, {
    cpus: 4,
    memory: 16 * GB,
    time: 7200,
    partition: ''
  });
  assert.deepEqual(
    sent(typed({ memory: '4G' }, { name: ' flights ', workers: '3' })),
    { name: 'flights', workers: 3, request: { memory: 4 * GB } }
  );
});

test('what is malformed or outside its limit is refused beside its field', () => {
  const cases: [Record<string, string>, Record<string, string>][] = [
    [{ cpus: '9' }, { cpus: 'CPUs: at most 8.' }],
    [{ cpus: '0' }, { cpus: 'CPUs: at least 1.' }],
    [{ cpus: '1.5' }, { cpus: 'CPUs: a whole number.' }],
    [{ memory: '17 GB' }, { memory: 'Memory: at most 16 GB.' }],
    [{ memory: '1 MB' }, { memory: 'Memory: at least 64 MB.' }],
    [
      { memory: 'lots', time: 'soon' },
      {
        memory: 'Memory: a size such as 4 GB or 512 MB.',
        time: 'Time limit: a time such as 2 h, 1:30 h or 45 min.'
      }
    ]
  ];
  for (const [fields, problems] of cases) {
    assert.deepEqual(refused(typed(fields)), problems);
  }
});

test('the number of workers is a whole number within its limit', () => {
  for (const workers of ['0', '', 'two', '-1', '1.5', '9999999']) {
    assert.deepEqual(refused({ ...inputsFrom(offer), workers }), {
      workers: 'Workers: a whole number, at least 1, or a range such as 0–8.'
    });
  }
  const limited = {
    ...offer,
    limits: { ...offer.limits, workers: { max: 4 } }
  };
  const inputs = { ...inputsFrom(limited), workers: '5' };
  assert.deepEqual(startFrom(limited, inputs, english), {
    problems: { workers: 'Workers: at most 4.' }
  });
});

test('a range follows the work, and its outlook is that of the most', () => {
  for (const workers of ['0-8', '0–8', ' 0 to 8 ']) {
    const start = sent({ ...inputsFrom(offer), workers });
    assert.deepEqual(start.adapt, { minimum: 0, maximum: 8 });
    assert.ok(!('workers' in start));
    assert.equal(mostWorkers(start), 8);
    assert.equal(inputsFrom(offer, start).workers, '0–8');
  }
  assert.equal(mostWorkers(sent(inputsFrom(offer))), 2);
  assert.deepEqual(refused({ ...inputsFrom(offer), workers: '8-2' }), {
    workers: 'Workers: from the smaller number to the larger.'
  });
  assert.deepEqual(
    Object.keys(refused({ ...inputsFrom(offer), workers: '0-0' })),
    ['workers']
  );
});

test('a cluster may last longer than its workers, where the values are chosen one by one', () => {
  const custom = choosePreset(offer, inputsFrom(offer), CUSTOM);
  const start = sent({ ...custom, lasts: '8 h' });
  assert.equal(start.lasts, 8 * 3600);
  assert.ok(!('lasts' in sent(custom)));
  assert.ok(!('lasts' in sent({ ...inputsFrom(offer), lasts: '8 h' })));
  assert.deepEqual(Object.keys(refused({ ...custom, lasts: 'long' })), [
    'lasts'
  ]);
  assert.deepEqual(Object.keys(problemsFrom('no', 'lasts', offer, custom)), [
    'lasts'
  ]);
  assert.deepEqual(Object.keys(problemsFrom('no', 'maximum', offer, custom)), [
    'workers'
  ]);
});

test('what an earlier cluster was started with comes back as its preset or as Custom', () => {
  const earlier = {
    name: 'flights',
    workers: 3,
    request: sent(choosePreset(offer, inputsFrom(offer), 'gpu')).request
  };
  assert.equal(inputsFrom(offer, earlier).preset, 'gpu');
  // Under a preset there is no field for how long it lasts.
  const lasting = inputsFrom(offer, { ...earlier, lasts: 28_800 });
  assert.deepEqual([lasting.preset, lasting.lasts], [CUSTOM, '8 h']);
  const changed = inputsFrom(offer, {
    ...earlier,
    request: { ...earlier.request, cpus: 3 }
  });
  assert.equal(changed.preset, CUSTOM);
  assert.deepEqual(
    [changed.name, changed.workers, changed.fields.cpus],
    ['flights', '3', '3']
  );
});

test("the server's refusal stands beside the field that it names, if that is on screen", () => {
  const place = (name: string | null, preset: string) =>
    Object.keys(
      problemsFrom('no', name, offer, { ...inputsFrom(offer), preset })
    );
  assert.deepEqual(place('cpus', CUSTOM), ['cpus']);
  assert.deepEqual(place('cpus', 'small'), ['preset']);
  assert.deepEqual(place('qos', CUSTOM), ['preset']);
  assert.deepEqual(place('workers', 'small'), ['workers']);
  assert.deepEqual(place('kernel', 'small'), ['kernel']);
  assert.deepEqual(place('notebook', 'small'), ['kernel']);
  assert.deepEqual(place(null, CUSTOM), ['preset']);
});

test('the kernel is sent where there is one, and comes back with an earlier cluster', () => {
  const start = sent({ ...inputsFrom(offer), kernel: 'analysis' });
  assert.equal(start.kernel, 'analysis');
  assert.equal(inputsFrom(offer, start).kernel, 'analysis');
  assert.ok(!('kernel' in sent(inputsFrom(offer))));
});

function chosen(picked: Picked, from = offer) {
  const result = chosenFrom(from, picked, english);
  assert.ok('chosen' in result, JSON.stringify(result));
  return result.chosen;
}

test("a kernel's job is asked for by the name of a preset, or runs here", () => {
  const fresh = pickedFrom(offer, 'python3');
  assert.deepEqual(chosen(fresh), { preset: 'small' });
  const here = choosePreset(offer, fresh, HERE);
  assert.equal(here.kernel, 'python3');
  assert.equal(chosen(here), null);
  assert.equal(pickedFrom(offer, 'python3', null).preset, HERE);
  const custom = choosePreset(offer, here, CUSTOM);
  assert.deepEqual(custom.fields, fresh.fields, 'as before it was to run here');
  const typed = { ...custom, fields: { ...custom.fields, cpus: '3' } };
  assert.deepEqual(chosen(typed), { cpus: 3 });
  assert.deepEqual(chosenFrom(offer, { ...fresh, preset: 'whole' }, english), {
    problems: { preset: 'CPUs: at most 8 here' }
  });
});

test("a preset of one's own is sent as what it means, for the site does not know it", () => {
  const own = {
    ...offer.presets[1],
    name: 'own:mine',
    request: { cpus: 2 },
    own: true as const
  };
  const with_own = { ...offer, presets: [...offer.presets, own] };
  const picked = pickedFrom(with_own, '', { preset: 'own:mine' });
  assert.deepEqual(chosen({ ...picked, preset: 'own:mine' }, with_own), {
    cpus: 2,
    memory: 2 * GB,
    time: 7200,
    partition: ''
  });
});

test('what a notebook ran on comes back as its preset or as Custom', () => {
  assert.equal(pickedFrom(offer, '', { preset: 'gpu' }).preset, 'gpu');
  const changed = pickedFrom(offer, '', { preset: 'gpu', cpus: 3 });
  assert.equal(changed.preset, CUSTOM);
  assert.deepEqual(
    [changed.fields.cpus, changed.fields.memory],
    ['3', '16 GB']
  );
  // One that the site no longer offers is left as Custom, from the default preset.
  const gone = pickedFrom(offer, '', { preset: 'gone', cpus: 2 });
  assert.deepEqual(
    [gone.preset, gone.fields.cpus, gone.fields.memory],
    [CUSTOM, '2', '2 GB']
  );
});

test("a refusal stands beside the kernel's own field, else above the foot", () => {
  const picked = pickedFrom(offer, '');
  const at = (field: string | null, preset = 'small') =>
    Object.keys(
      problemsAt('no', field, offer, { ...picked, preset }, ['kernel'])
    );
  assert.deepEqual(at('kernel'), ['kernel']);
  assert.deepEqual(at('cpus'), ['preset']);
  assert.deepEqual(at('cpus', CUSTOM), ['cpus']);
  assert.deepEqual(at('workers', CUSTOM), ['preset']);
  assert.deepEqual(at(null), ['preset']);
});
