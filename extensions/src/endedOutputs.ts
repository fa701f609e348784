/**
 * Has put into a notebook what a kernel printed that ended while no page heard it: the server says of which kernels that
 * is in no saved notebook yet, and hears when it is. It needs no connection to the kernel, which is gone; cellOutputs.ts
 * puts it in.
 */

import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { NotebookPanel } from '@jupyterlab/notebook';

import type { Api } from './api.ts';
import type { JobKernels } from './jobKernels.ts';
import type { JobKernel, Run } from './kernelContract.ts';
import { Refusal } from './refusal.ts';
import { timeout, type Timer } from './timer.ts';

/** Milliseconds until what was refused is tried again. */
const AGAIN = 10_000;

export interface EndedParts {
  jobs: Pick<JobKernels, 'list'>;
  api: Pick<Api, 'runs' | 'outputsSaved'>;
  /** Puts what a kernel printed into its notebook; `later` is what the notebook's next one did. */
  put: (
    panel: NotebookPanel,
    kernel: JobKernel,
    runs: Run[],
    later: Run[]
  ) => void;
  /** The kernel of a notebook whose end will be told in it, or just is. */
  awaited: (panel: NotebookPanel) => string | undefined;
}

export class EndedOutputs {
  private _parts: EndedParts;
  private _timer: Timer;
  /** The kernels whose outputs are in the notebook, though it may not be saved. */
  private _put = new WeakMap<NotebookPanel, Set<string>>();
  /** Those that are looked at, or will be when what was refused is tried again. */
  private _looking = new WeakSet<NotebookPanel>();

  constructor(parts: EndedParts, timer: Timer = timeout) {
    this._parts = parts;
    this._timer = timer;
  }

  /** Looks for such kernels of this notebook. */
  async look(panel: NotebookPanel): Promise<void> {
    const { jobs, awaited } = this._parts;
    if (panel.isDisposed || this._looking.has(panel)) {
      return;
    }
    const path = panel.context.path;
    // What ran later comes later.
    const [kernel] = (jobs.list ?? [])
      .filter(
        one =>
          one.unsaved &&
          one.path === path &&
          one.id !== awaited(panel) &&
          !this._put.get(panel)?.has(one.id)
      )
      .reverse();
    if (!kernel) {
      return;
    }
    this._looking.add(panel);
    const goOn = () => {
      this._looking.delete(panel);
      return this.look(panel);
    };
    try {
      await this._take(panel, kernel);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        this._looking.delete(panel);
        throw error;
      }
      this._timer(() => void goOn(), AGAIN);
      return;
    }
    await goOn();
  }

  /** What this kernel printed is in the notebook: as soon as that is saved, the server need not keep it any more. */
  isIn(panel: NotebookPanel, { id }: Pick<JobKernel, 'id'>): void {
    const known = this._put.get(panel) ?? new Set();
    this._put.set(panel, known.add(id));
    const { saveState, model } = panel.context;
    if (!model.dirty) {
      void this._tell(id);
      return;
    }
    const cells = panel.content.widgets.map(one => one.model);
    const leave = () => {
      saveState.disconnect(onSave);
      model.stateChanged.disconnect(putAgain);
    };
    /** Lab says of no notebook that it was read from its file anew; all its cells are others then. */
    const putAgain = () => {
      if (cells.some(one => !one.isDisposed)) {
        return false;
      }
      leave();
      known.delete(id);
      void this.look(panel);
      return true;
    };
    let isOurs = false;
    const onSave = (_: unknown, state: DocumentRegistry.SaveState) => {
      if (putAgain()) {
        return;
      }
      if (state === 'started') {
        isOurs = true; // one that was under way before may not have it
      } else if (isOurs && state !== 'failed') {
        void this._tell(id).then(isTold => {
          if (isTold) {
            leave();
          }
        });
      }
    };
    saveState.connect(onSave);
    model.stateChanged.connect(putAgain);
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
    const { jobs, api, put } = this._parts;
    await panel.context.ready;
    const runs = await api.runs(kernel.id);
    const living = jobs.list?.find(
      one => one.path === kernel.path && one.state === 'running'
    );
    const later = living ? await api.runs(living.id) : [];
    if (!panel.isDisposed) {
      put(panel, kernel, runs, later);
      this.isIn(panel, kernel);
    }
  }
}
