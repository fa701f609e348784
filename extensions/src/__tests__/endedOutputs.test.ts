/** When what an ended kernel printed is put into its notebook, and when the server is told that it may forget it. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import type { NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';

import { EndedOutputs } from '../endedOutputs.ts';
import type { JobKernel } from '../kernelContract.ts';
import { Refusal } from '../refusal.ts';
import { makeKernel, settled } from './support.ts';

/** A notebook's panel as far as it matters here, with Lab's order of events. */
class Notebook {
  isDisposed = false;
  content = { widgets: [{ model: { isDisposed: false } }] };
  context = {
    path: 'work/train.ipynb',
    ready: Promise.resolve(),
    model: { dirty: false, stateChanged: new Signal<this, object>(this) },
    saveState: new Signal<this, string>(this)
  };

  get panel(): NotebookPanel {
    return this as unknown as NotebookPanel;
  }

  setDirty(dirty: boolean): void {
    const { model } = this.context;
    if (dirty !== model.dirty) {
      model.dirty = dirty;
      model.stateChanged.emit({ name: 'dirty', newValue: dirty });
    }
  }

  beginSave(): void {
    this.context.saveState.emit('started');
  }

  endSave(state = 'completed'): void {
    if (state === 'completed') {
      this.setDirty(false);
    }
    this.context.saveState.emit(state);
  }

  save(): void {
    this.beginSave();
    this.endSave();
  }

  readAnew(): void {
    for (const { model } of this.content.widgets) {
      model.isDisposed = true;
    }
    this.content.widgets = [{ model: { isDisposed: false } }];
    this.setDirty(false);
  }
}

let list: JobKernel[];
let notebook: Notebook;
let asked: string[];
let put: string[];
let saved: string[];
let answers: boolean;
let awaited: string | undefined;
let timers: (() => void)[];
let outputs: EndedOutputs;

beforeEach(() => {
  list = [makeKernel({ id: 'k1', state: 'ended', unsaved: true })];
  notebook = new Notebook();
  asked = [];
  put = [];
  saved = [];
  answers = true;
  awaited = undefined;
  timers = [];
  outputs = new EndedOutputs(
    {
      jobs: {
        get list() {
          return list;
        }
      },
      api: {
        runs: async id => {
          asked.push(id);
          await settled();
          if (!answers) {
            throw new Refusal('The server does not answer.');
          }
          return [];
        },
        outputsSaved: async id => {
          await settled();
          if (!answers) {
            throw new Refusal('The server does not answer.');
          }
          saved.push(id);
        }
      },
      put: (_, kernel) => {
        put.push(kernel.id);
        notebook.setDirty(true);
      },
      awaited: () => awaited
    },
    callback => {
      timers.push(callback);
      return () => undefined;
    }
  );
});

const look = () => outputs.look(notebook.panel);
/** As after every word of the kernels' list. */
const lookOften = async () => {
  for (let time = 0; time < 5; time++) {
    await look();
  }
};
/** Until whatever began has come to its end. */
const rest = async () => {
  for (let time = 0; time < 10; time++) {
    await settled();
  }
};

test('the outputs are put in once, and told of when the notebook is saved', async () => {
  await lookOften();
  assert.deepEqual(put, ['k1']);
  await rest();
  assert.deepEqual(saved, []);
  notebook.save();
  await rest();
  assert.deepEqual(saved, ['k1']);
  notebook.setDirty(true);
  notebook.save();
  await rest();
  assert.deepEqual(saved, ['k1']);
});

test('a save that was under way, or that failed, is none; a lost word is told with the next one', async () => {
  notebook.beginSave();
  await look();
  notebook.endSave();
  notebook.setDirty(true);
  notebook.beginSave();
  notebook.endSave('failed');
  await rest();
  assert.deepEqual(saved, []);
  answers = false;
  notebook.save();
  await rest();
  answers = true;
  assert.deepEqual(saved, []);
  notebook.setDirty(true);
  notebook.save();
  await rest();
  assert.deepEqual(saved, ['k1']);
});

test('in a notebook that is read from its file anew they are put in again before a save counts', async () => {
  await look();
  notebook.readAnew();
  notebook.setDirty(true); // by a person's hand
  notebook.save(); // without them
  await rest();
  assert.deepEqual(saved, []);
  assert.deepEqual(put, ['k1', 'k1']);
  notebook.save();
  await rest();
  assert.deepEqual(saved, ['k1']);
});

test('so they are where a save ends with the file that was there, or Lab holds them for saved', async () => {
  await look();
  notebook.beginSave();
  notebook.readAnew(); // what a person may answer where the file has changed
  notebook.endSave();
  await rest();
  assert.deepEqual([put, saved], [['k1', 'k1'], []]);

  notebook.setDirty(false); // by a save that had begun before
  notebook.readAnew();
  notebook.save();
  await rest();
  assert.deepEqual([put, saved], [['k1', 'k1', 'k1'], []]);
});

test('a cell that a person deletes is no reason to put the others in again', async () => {
  const [kept] = notebook.content.widgets;
  const deleted = { model: { isDisposed: false } };
  notebook.content.widgets.push(deleted);
  await look();
  deleted.model.isDisposed = true;
  notebook.content.widgets = [kept];
  notebook.save();
  await rest();
  assert.deepEqual([put, saved], [['k1'], ['k1']]);
});

test('what was refused is tried again once, however often the list is heard meanwhile', async () => {
  answers = false;
  await lookOften();
  assert.equal(asked.length, 1);
  assert.equal(timers.length, 1);
  timers.shift()?.();
  await rest();
  await lookOften();
  assert.equal(asked.length, 2);
  assert.equal(timers.length, 1);
  answers = true;
  timers.shift()?.();
  await rest();
  assert.deepEqual(put, ['k1']);
  assert.equal(timers.length, 0);
});

test('a notebook that was closed is not asked for', async () => {
  answers = false;
  await look();
  notebook.isDisposed = true;
  timers.shift()?.();
  await rest();
  assert.equal(asked.length, 1);
  assert.equal(timers.length, 0);
});

test('the first kernel comes first; one whose end is told in the notebook itself is left to that', async () => {
  list.unshift(makeKernel({ id: 'k2', state: 'ended', unsaved: true }));
  await look();
  assert.deepEqual(put, ['k1', 'k2']);
  awaited = 'k3';
  list.unshift(makeKernel({ id: 'k3', state: 'ended', unsaved: true }));
  await look();
  assert.deepEqual(put, ['k1', 'k2']);
  awaited = undefined;
  await look();
  assert.deepEqual(put, ['k1', 'k2', 'k3']);
});
