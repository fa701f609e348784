/** What the command of a plot is given. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PLOT_ARGUMENTS, readPlotOf } from '../plotOf.ts';

const given = {
  cluster: 'c1',
  name: 'flights',
  plot: 'status',
  title: 'Task stream'
};

test('a plot is read from what names it, and nothing else is kept', () => {
  assert.deepEqual(readPlotOf({ ...given, isPalette: true }), given);
});

test('without one of its parts it is no plot', () => {
  for (const name of PLOT_ARGUMENTS.required) {
    assert.equal(readPlotOf({ ...given, [name]: undefined }), null);
    assert.equal(readPlotOf({ ...given, [name]: 7 }), null);
  }
  assert.equal(readPlotOf({}), null);
});
