/**
 * Puts into a notebook what a kernel printed that ended while no page heard it: the server says of which kernels that
 * is in no saved notebook yet, and hears when it is. It needs no connection to the kernel, which is gone.
 */

import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { NotebookPanel } from '@jupyterlab/notebook';

import type { Api } from './api.ts';
import { asShown, codeCellsOf, put, withoutTyped } from './cellOutputs.ts';
import type { JobKernels } from './jobKernels.ts';
import type { JobKernel } from './kernelContract.ts';
import { causeSentence } from './kernelWords.ts';
import { Refusal } from './refusal.ts';
import { ENDED, errorOutput, isThere, stepFor } from './replay.ts';
import { timeout, type Timer } from './timer.ts';
import type { Words } from './words.ts';

/** Milliseconds until what was refused is tried again. */
const AGAIN = 10_000;

export interface EndedParts {
  jobs: JobKernels;
  api: Pick<Api, 'runs' | 'outputsSaved'>;
  trans: Words;
}

export class EndedOutputs {
  private _parts: EndedParts;
  private _timer: Timer;
  /** The kernels whose outputs are in the notebook, though it may not be saved. */
  private _put = new WeakMap<NotebookPanel, Set<string>>();
  private _looking = new WeakSet<NotebookPanel>();

  constructor(parts: EndedParts, timer: Timer = timeout) {
    this._parts = parts;
    this._timer = timer;
  }

  /** Looks for such kernels of this notebook, except one whose end is just being told in it. */
  async look(
    panel: NotebookPanel,
    except: () => string | undefined
  ): Promise<void> {
    const { list } = this._parts.jobs;
    const path = panel.context.path;
    // What ran later comes later.
    const [kernel] = (list ?? [])
      .filter(
        one =>
          one.unsaved &&
          one.path === path &&
          one.id !== except() &&
          !this._put.get(panel)?.has(one.id)
      )
      .reverse();
    if (!kernel || panel.isDisposed || this._looking.has(panel)) {
      return;
    }
    this._looking.add(panel);
    try {
      await this._take(panel, kernel);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._timer(() => void this.look(panel, except), AGAIN);
      return;
    } finally {
      this._looking.delete(panel);
    }
    await this.look(panel, except);
  }

  /** What this kernel printed is in the notebook: as soon as that is saved, the server need not keep it any more. */
  isIn(panel: NotebookPanel, { id }: JobKernel): void {
    const known = this._put.get(panel) ?? new Set();
    this._put.set(panel, known.add(id));
    const { saveState, model } = panel.context;
    if (!model.dirty) {
      void this._tell(id);
      return;
    }
    let isOurs = false;
    const onSave = (_: unknown, state: DocumentRegistry.SaveState) => {
      if (state === 'started') {
        isOurs = true; // one that was under way before may not have it
      } else if (isOurs && state !== 'failed') {
        void this._tell(id).then(isTold => {
          if (isTold) {
            saveState.disconnect(onSave);
          }
        });
      }
    };
    saveState.connect(onSave);
  }

  private async _tell(id: string): Promise<boolean> {
    try {
      await this._parts.api.outputsSaved(id);
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      return false; // with the next save, or when the notebook is opened again
    }
  }

  private async _take(panel: NotebookPanel, kernel: JobKernel): Promise<void> {
    const { jobs, api, trans } = this._parts;
    await panel.context.ready;
    const runs = await api.runs(kernel.id);
    const living = jobs.list?.find(
      one => one.path === kernel.path && one.state === 'running'
    );
    const later = living ? await api.runs(living.id) : [];
    if (panel.isDisposed) {
      return;
    }
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
    this.isIn(panel, kernel);
  }
}
