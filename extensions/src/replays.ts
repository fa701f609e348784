/** Sees to it that every open notebook whose kernel is a job has its replaying.ts. */

import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';

import type { Api } from './api.ts';
import { putEnded } from './cellOutputs.ts';
import { EndedOutputs } from './endedOutputs.ts';
import type { JobKernels } from './jobKernels.ts';
import type { JobKernel, Run } from './kernelContract.ts';
import { Replay } from './replaying.ts';
import type { Words } from './words.ts';

export interface ReplaysParts {
  tracker: INotebookTracker;
  jobs: JobKernels;
  api: Pick<Api, 'runs' | 'outputsSaved'>;
  trans: Words;
}

export class Replays {
  private _parts: ReplaysParts;
  private _replays = new Map<NotebookPanel, Replay>();
  private _ended: EndedOutputs;

  constructor(parts: ReplaysParts) {
    this._parts = parts;
    const { tracker, jobs, api, trans } = parts;
    this._ended = new EndedOutputs({
      jobs,
      api,
      put: (panel, kernel, runs, later) =>
        putEnded(panel, kernel, { runs, later }, trans),
      awaited: panel => this._replays.get(panel)?.kernel.id
    });
    const add = (panel: NotebookPanel) => {
      const look = () => this._look(panel);
      panel.sessionContext.kernelChanged.connect(look);
      panel.disposed.connect(() => {
        this._replays.get(panel)?.dispose();
        this._replays.delete(panel);
      });
      look();
    };
    tracker.forEach(add);
    tracker.widgetAdded.connect((_, panel) => add(panel));
    jobs.changed.connect(() => tracker.forEach(panel => this._look(panel)));
  }

  /** Tells of the end in the cells that were running. */
  async end(kernel: JobKernel, sentence: string): Promise<void> {
    const ending = [...this._replays].filter(
      ([, one]) => one.kernel.id === kernel.id
    );
    for (const [panel, replay] of ending) {
      if (await replay.end(sentence)) {
        this._ended.isIn(panel, kernel);
      }
      if (this._replays.get(panel) === replay) {
        this._replays.delete(panel);
      }
      this._look(panel);
    }
  }

  /** Tells in the cell that was running why its kernel died. */
  died({ id }: JobKernel, sentence: string): void {
    for (const replay of this._replays.values()) {
      if (replay.kernel.id === id) {
        replay.died(sentence);
      }
    }
  }

  /** Whether another open notebook on the same kernel asked for it: a copy has cells with the same ids. */
  private _isOfAnother(panel: NotebookPanel, { session }: Run): boolean {
    return [...this._replays].some(
      ([other, { kernel }]) =>
        other.context !== panel.context && kernel.clientId === session
    );
  }

  private _look(panel: NotebookPanel): void {
    const { jobs, api, trans } = this._parts;
    const kernel = panel.sessionContext.session?.kernel;
    this._leave(panel, kernel?.id);
    void this._ended.look(panel);
    const job = jobs.find(kernel?.id);
    if (!kernel || !job || job.state === 'ended') {
      // Lab lets go of a kernel that ended before the word of its end is here.
      return;
    }
    const earlier = this._replays.get(panel);
    if (earlier?.kernel !== kernel && !kernel.isDisposed) {
      earlier?.dispose();
      const runs = async () =>
        (await api.runs(job.id)).filter(one => !this._isOfAnother(panel, one));
      this._replays.set(panel, new Replay({ panel, kernel, runs, trans }));
    }
    if (job.state === 'running' && job.silent_since === null) {
      this._replays.get(panel)?.resume();
    }
  }

  /** Lets go of a kernel in whose stead the notebook has another one, and waits for none that a person ended. */
  private _leave(panel: NotebookPanel, now: string | undefined): void {
    const { jobs } = this._parts;
    const replay = this._replays.get(panel);
    if (!replay) {
      return;
    }
    if (now && now !== replay.kernel.id) {
      replay.dispose();
      this._replays.delete(panel);
    } else if (jobs.list && !jobs.find(replay.kernel.id)) {
      replay.rest();
    }
  }
}
