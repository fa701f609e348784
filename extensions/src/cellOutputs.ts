/** Puts what was recorded of executions into their cells. */

import type { CodeCell } from '@jupyterlab/cells';
import type { IOutput } from '@jupyterlab/nbformat';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { OutputAreaModel } from '@jupyterlab/outputarea';
import { JSONExt } from '@lumino/coreutils';

import type { JobKernel, Run } from './kernelContract.ts';
import { causeSentence } from './kernelWords.ts';
import { ENDED, errorOutput, isThere, outputsOf, stepFor } from './replay.ts';
import type { Words } from './words.ts';

/** Lab's own class of what asks a person for a line of text. */
const PROMPT = 'jp-OutputArea-stdin-item';

export function codeCellsOf(panel: NotebookPanel): CodeCell[] {
  return panel.content.widgets.filter(
    (cell): cell is CodeCell => cell.model.type === 'code'
  );
}

/** As Lab makes them of what is printed: lines that are written over are gone. */
export function asShown(outputs: IOutput[]): IOutput[] {
  const model = new OutputAreaModel({ values: outputs, trusted: true });
  const shown = model.toJSON();
  model.dispose();
  return shown;
}

/** Without what a person typed, which Lab shows and no kernel prints. */
export function withoutTyped(outputs: IOutput[]): IOutput[] {
  const printed = outputs.filter(({ name }) => name !== 'stdin');
  return printed.length < outputs.length ? asShown(printed) : outputs;
}

/** All that is kept of the run, with a word on what is not. */
export function put(cell: CodeCell, run: Run, trans: Words): void {
  const { model, outputArea } = cell;
  const outputs = asShown(outputsOf(run, trans));
  // It was run by whoever sees it: this is no output of a stranger's notebook.
  model.trusted = true;
  if (outputArea.widgets.some(one => one.hasClass(PROMPT))) {
    putAround(cell, outputs);
  } else {
    model.outputs.fromJSON(outputs);
  }
  settle(cell, run);
}

/**
 * All that is kept of a kernel that ended, and why it did, except in cells that ran again: `later` on the notebook's next
 * kernel, or here.
 */
export function putEnded(
  panel: NotebookPanel,
  kernel: JobKernel,
  { runs, later }: { runs: Run[]; later: Run[] },
  trans: Words
): void {
  const ranLater = new Set(later.map(one => one.cell));
  const cells = new Map(codeCellsOf(panel).map(one => [one.model.id, one]));
  let isTold = false;
  for (const run of runs) {
    const cell = cells.get(run.cell ?? '');
    const hasBegun = run.execution_count !== null || run.outputs.length > 0;
    if (!cell || !hasBegun || ranLater.has(run.cell)) {
      continue;
    }
    const { model, outputArea } = cell;
    const outputs = asShown(run.outputs);
    const shown = withoutTyped(model.outputs.toJSON());
    const id = outputArea.future?.msg.header.msg_id;
    const step = stepFor(run, outputs, {
      outputs: shown,
      executionCount: model.executionCount,
      isRunning: model.executionState === 'running',
      asked: id ? { id, missed: true } : null
    });
    if (!step) {
      continue; // it was run again here
    }
    if (step.set && !isThere(run, outputs, shown, model.executionCount)) {
      put(cell, run, trans);
    }
    // Those that waited for the first one had printed nothing.
    if (run.broken && !isTold) {
      isTold = true;
      if (!model.outputs.toJSON().some(one => one.ename === ENDED)) {
        model.outputs.add(errorOutput(ENDED, causeSentence(kernel, trans)));
      }
    }
  }
}

/** The cell's number and state are the run's. */
export function settle({ model }: CodeCell, run: Run): void {
  const isRunning = run.state === 'running';
  model.executionCount = isRunning ? null : run.execution_count;
  model.executionState = isRunning ? 'running' : 'idle';
}

/** One by one: with all outputs at once Lab takes away what asks, and the cell waits for ever. */
function putAround({ model }: CodeCell, outputs: IOutput[]): void {
  const { outputs: shown } = model;
  if (!outputs.length) {
    return;
  }
  while (shown.length > outputs.length) {
    shown.remove(shown.length - 1);
  }
  outputs.forEach((output, at) => {
    if (at === shown.length) {
      // Lab would add text to what was added last, which may be another by now; to this it adds nothing.
      shown.add({ output_type: 'display_data', data: {}, metadata: {} });
    }
    if (!JSONExt.deepEqual(shown.get(at).toJSON(), output)) {
      shown.set(at, output);
    }
  });
}
