/** Which notebook has which kernel: also the one that it had until that ended, when Lab has let go of it. */

import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { type ISignal, Signal } from '@lumino/signaling';

import type { JobKernels } from './jobKernels.ts';
import type { JobKernel } from './kernelContract.ts';

export class NotebookKernels {
  private _tracker: INotebookTracker;
  private _jobs: JobKernels;
  private _had = new WeakMap<NotebookPanel, string>();
  private _left = new Set<string>();
  private _changed = new Signal<this, NotebookPanel>(this);

  constructor(tracker: INotebookTracker, jobs: JobKernels) {
    this._tracker = tracker;
    this._jobs = jobs;
    tracker.forEach(panel => this._watch(panel));
    tracker.widgetAdded.connect((_, panel) => this._watch(panel));
  }

  /** A notebook has another kernel. */
  get changed(): ISignal<this, NotebookPanel> {
    return this._changed;
  }

  /** Whether a person took this kernel away in this page, so that its end is no news. */
  wasLeft(id: string): boolean {
    return this._left.has(id);
  }

  /** The notebook's kernel, if that is a job or was one until it ended. */
  jobOf(panel: NotebookPanel): JobKernel | null {
    return this._jobs.find(this._had.get(panel));
  }

  /** The open notebooks that have this kernel, or had it until it ended. */
  panelsOf(id: string): NotebookPanel[] {
    return this._tracker.filter(panel => this._had.get(panel) === id);
  }

  private _watch(panel: NotebookPanel): void {
    const { sessionContext } = panel;
    const look = () => {
      const id = sessionContext.session?.kernel?.id;
      const had = this._had.get(panel);
      if (id === undefined || id === had) {
        return;
      }
      if (had !== undefined) {
        // Jupyter ends the kernel that a notebook had before.
        this._left.add(had);
      }
      this._had.set(panel, id);
      this._changed.emit(panel);
    };
    look();
    sessionContext.kernelChanged.connect(look);
    sessionContext.statusChanged.connect((_, status) => {
      const had = this._had.get(panel);
      if (status === 'terminating' && had !== undefined) {
        this._left.add(had);
      }
    });
  }
}
