/** What to do with a cell whose execution was recorded where it ran: decided here, done by replaying.ts. */

import type { IOutput } from '@jupyterlab/nbformat';
import { JSONExt } from '@lumino/coreutils';

import type { Run } from './kernelContract.ts';
import { showBytes } from './quantity.ts';
import type { Words } from './words.ts';

/** What a cell shows now. */
export interface CellNow {
  outputs: IOutput[];
  executionCount: number | null;
  isRunning: boolean;
  /** Its last execution that this page asked for, and whether the page was cut off while that went on; or null. */
  asked: { id: string; missed: boolean } | null;
}

/** What becomes of a cell: whether its outputs are replaced, and whether what comes next is to be asked for. */
export interface Step {
  set: boolean;
  follow: boolean;
}

/** The step for the last run of a cell; null: it is left as it is. `outputs` are the run's, as Lab shows them. */
export function stepFor(
  run: Run,
  outputs: IOutput[],
  cell: CellNow
): Step | null {
  // What this page asked for and heard in full it shows already; of two executions it knows which is the later one.
  if (cell.asked && (cell.asked.id !== run.msg_id || !cell.asked.missed)) {
    return null;
  }
  const isRunning = run.state === 'running';
  const isSame =
    isRunning === cell.isRunning &&
    (isRunning || run.execution_count === cell.executionCount) &&
    areSame(outputs, cell.outputs);
  return { set: !isSame, follow: isRunning };
}

/** What a run printed, after a word on what was left out of it. */
export function outputsOf(run: Run, trans: Words): IOutput[] {
  return run.dropped > 0
    ? [
        {
          output_type: 'stream',
          name: 'stderr',
          text: trans.__(
            '[%1 were left out here, for it printed more than is kept while nobody listens.]\n',
            showBytes(run.dropped)
          )
        },
        ...run.outputs
      ]
    : run.outputs;
}

/** Whether what is kept of a run that broke off is more than the page has heard of it. */
export function isMore(outputs: IOutput[], shown: IOutput[]): boolean {
  return JSON.stringify(outputs).length > JSON.stringify(shown).length;
}

/**
 * Whether all that was recorded of a run stands there already, and maybe more: what was printed last before its node was
 * lost, or what was left out of the record. Under another number the cell shows another run.
 */
export function isThere(
  run: Run,
  outputs: IOutput[],
  shown: IOutput[],
  executionCount: number | null
): boolean {
  if (executionCount !== null && executionCount !== run.execution_count) {
    return false;
  }
  if (run.dropped > 0) {
    return !isMore(outputs, shown);
  }
  const last = outputs.length - 1;
  return outputs.every((one, at) => {
    const other = shown[at];
    return (
      other !== undefined &&
      (JSONExt.deepEqual(one, other) ||
        (at === last &&
          one.name === other.name &&
          typeof one.text === 'string' &&
          typeof other.text === 'string' &&
          other.text.startsWith(one.text)))
    );
  });
}

/** The name of the error that says why a kernel ended. */
export const ENDED = 'KernelEnded';

/** A sentence as the output of a cell that came to no end. */
export function errorOutput(name: string, sentence: string): IOutput {
  return {
    output_type: 'error',
    ename: name,
    evalue: sentence,
    traceback: [sentence]
  };
}

function areSame(left: IOutput[], right: IOutput[]): boolean {
  return JSONExt.deepEqual(left, right);
}
