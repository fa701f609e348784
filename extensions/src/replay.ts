/** What to do with a cell whose execution was recorded where it ran: decided here, done by replaying.ts. */

import type { IOutput } from '@jupyterlab/nbformat';
import { JSONExt } from '@lumino/coreutils';

import type { Run } from './kernelContract.ts';
import { showBytes } from './quantity.ts';
import type { Words } from './words.ts';

/** Bytes of a kernel's outputs that are kept where it runs, the latest ones. */
const KEPT = 10 * 1024 ** 2;

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

/**
 * The step for the last run of a cell; null: it is left as it is. `outputs` are those that are kept of the run, as Lab
 * shows them, without a word on what was left out.
 */
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
  return { set: !isSame && !isHeard(run, outputs, cell), follow: isRunning };
}

/** Whether the cell shows what was left out of the run, too: a page that was there has it in full. */
function isHeard(run: Run, outputs: IOutput[], cell: CellNow): boolean {
  const goesOn = run.state === 'running' || cell.isRunning;
  const isOfThisRun =
    run.execution_count === cell.executionCount ||
    (goesOn && outputs.length > 0);
  return run.dropped > 0 && isOfThisRun && isEndOf(outputs, cell.outputs);
}

/** What a run printed, after a word on what was left out of it. */
export function outputsOf(run: Run, trans: Words): IOutput[] {
  return run.dropped > 0
    ? [
        {
          output_type: 'stream',
          name: 'stderr',
          text: trans.__(
            '[%1 were left out here: of all that a kernel prints, the last %2 are kept for pages that come back.]\n',
            showBytes(run.dropped),
            showBytes(KEPT)
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

/** Whether `shown` ends with these; of the first one, the beginning may be missing. */
function isEndOf(outputs: IOutput[], shown: IOutput[]): boolean {
  const last = shown.slice(shown.length - outputs.length);
  return (
    outputs.length <= shown.length &&
    outputs.every((output, at) =>
      at === 0
        ? endsWith(last[at], output)
        : JSONExt.deepEqual(output, last[at])
    )
  );
}

/** Whether one output is another, or a text that ends as that one does. */
function endsWith(whole: IOutput, part: IOutput): boolean {
  const [all, end] = [whole.text, part.text];
  return typeof all === 'string' && typeof end === 'string'
    ? all.endsWith(end) &&
        JSONExt.deepEqual({ ...whole, text: end }, { ...part })
    : JSONExt.deepEqual(whole, part);
}

function areSame(left: IOutput[], right: IOutput[]): boolean {
  return JSONExt.deepEqual(left, right);
}
