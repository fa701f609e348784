/**
 * Puts into a notebook's cells what its kernel printed while this page was not there to hear it; replay.ts decides
 * what of that is missing. One for each notebook and kernel.
 *
 * A future of Lab's hears its execution from the websocket alone: what passed while that was cut is lost to it, and
 * another page's execution has no future here at all. Such cells are followed by asking for what was recorded.
 */

import type { CodeCell } from '@jupyterlab/cells';
import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import {
  asShown,
  codeCellsOf,
  put,
  settle,
  withoutTyped
} from './cellOutputs.ts';
import type { Run } from './kernelContract.ts';
import { Refusal } from './refusal.ts';
import { ENDED, errorOutput, isMore, type Step, stepFor } from './replay.ts';
import { timeout, type Timer } from './timer.ts';
import type { Words } from './words.ts';

/** Milliseconds between two looks at what goes on, at least; more where a look takes long. */
const PAUSE = 1_000;
const LOOKS_SHARE = 4;
/** Milliseconds after which an execution that nobody has heard of is none: its message was on the cut connection. */
const LOST = 15_000;

export interface ReplayParts {
  panel: NotebookPanel;
  kernel: Kernel.IKernelConnection;
  /** What the last run of each cell printed. Throws `Refusal`. */
  runs: () => Promise<Run[]>;
  trans: Words;
}

export class Replay implements IDisposable {
  readonly kernel: Kernel.IKernelConnection;
  private _panel: NotebookPanel;
  private _runs: () => Promise<Run[]>;
  private _trans: Words;
  private _timer: Timer;
  /** Executions of this page that went on while it was cut off. */
  private _missed = new Set<string>();
  /** Those that are asked for, and of these those whose end was heard. */
  private _followed = new Map<string, CodeCell>();
  private _over = new Set<string>();
  /** Runs that are over and were looked at: what a person does to their outputs later is left alone. */
  private _settled = new Set<string>();
  /** Since when there is no trace of an execution. */
  private _lost = new Map<string, number>();
  /** Cells that this page had run and that came to no end yet, the first one first. */
  private _running = new Set<CodeCell>();
  /** Those that the record has the whole of. */
  private _complete = new Set<CodeCell>();
  /** What a kernel computed that died. */
  private _lostWithKernel: CodeCell[] = [];
  private _isDue = true;
  private _isLooking = false;
  private _quietFor = PAUSE;
  private _soon: { at: number; cancel: () => void } | null = null;
  private _isDisposed = false;

  constructor(parts: ReplayParts, timer: Timer = timeout) {
    this._panel = parts.panel;
    this.kernel = parts.kernel;
    this._runs = parts.runs;
    this._trans = parts.trans;
    this._timer = timer;
    this.kernel.connectionStatusChanged.connect(this._onConnection, this);
    this.kernel.statusChanged.connect(this._onStatus, this);
    this.kernel.disposed.connect(this._onGone, this);
    this.kernel.iopubMessage.connect(this._onMessage, this);
    NotebookActions.executionScheduled.connect(this._onScheduled, this);
    NotebookActions.executed.connect(this._onExecuted, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._soon?.cancel();
    Signal.clearData(this);
    this._idle();
  }

  /** Looks, if there is something to look for; called whenever the kernel may answer. */
  resume(): void {
    if (
      this._isDue &&
      !this._soon &&
      this.kernel.connectionStatus === 'connected'
    ) {
      void this._look();
    }
  }

  /** Its job is in no list: it waits for nothing more, unless it is back. */
  rest(): void {
    this._isDue = true;
    this._idle();
  }

  /**
   * Puts why the kernel has ended below the cell that it was computing; cells that waited for it wait no longer. False
   * where nobody said what was recorded, so that something may be missing, and where the notebook has another kernel by
   * now, whose the cells are.
   */
  async end(sentence: string): Promise<boolean> {
    const followed = [...this._followed].filter(([id]) => !this._over.has(id));
    const cells = new Set([
      ...followed.map(([, cell]) => cell),
      ...this._running
    ]);
    this._soon?.cancel();
    // The word of the end may come before this page hears that it was cut off.
    this._miss([...cells]);
    const isTaken = await this._look(true);
    if (!this._isOurs(true)) {
      this.dispose();
      return false;
    }
    const living = [...cells].filter(
      cell => !cell.isDisposed && !this._complete.has(cell)
    );
    living[0]?.model.outputs.add(errorOutput(ENDED, sentence));
    for (const { model } of living) {
      model.executionState = 'idle';
    }
    this.dispose();
    return isTaken;
  }

  /** Puts why the kernel died below the cell that it was computing; another kernel is there by now, or soon. */
  died(sentence: string): void {
    const [cell] = [
      ...this._lostWithKernel,
      ...this._followed.values(),
      ...this._running
    ].filter(one => !one.isDisposed);
    this._lostWithKernel = [];
    cell?.model.outputs.add(errorOutput('KernelDied', sentence));
  }

  private _onConnection(_: unknown, status: Kernel.ConnectionStatus): void {
    if (status === 'connected') {
      this._isDue = true;
      this._later(0);
      return;
    }
    this._miss(codeCellsOf(this._panel));
  }

  private _miss(cells: CodeCell[]): void {
    for (const { outputArea } of cells) {
      const { future } = outputArea;
      if (future && !future.isDisposed) {
        this._missed.add(future.msg.header.msg_id);
      }
    }
  }

  private _onStatus(_: unknown, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting') {
      this._lostWithKernel =
        status === 'autorestarting'
          ? [...this._followed.values(), ...this._running]
          : [];
      this._idle();
      this._followed.clear();
      this._running.clear();
    }
  }

  /** Nobody tells any more how the cells go on that are followed. */
  private _idle(): void {
    for (const cell of this._followed.values()) {
      // With a future Lab says it itself, of this execution or of a later one.
      if (!cell.isDisposed && (cell.outputArea.future?.isDisposed ?? true)) {
        cell.model.executionState = 'idle';
      }
    }
  }

  /** Whoever ended the kernel: Lab has let go of it. The word of why may still come. */
  private _onGone(): void {
    this._soon?.cancel();
    this._soon = null;
    this._idle();
  }

  private _onMessage(_: unknown, message: KernelMessage.IIOPubMessage): void {
    const { msg_id } = message.parent_header as { msg_id?: string };
    if (msg_id === undefined || !this._followed.has(msg_id)) {
      return;
    }
    const isEnd =
      message.header.msg_type === 'status' &&
      (message.content as { execution_state?: string }).execution_state ===
        'idle';
    if (isEnd) {
      this._over.add(msg_id);
    }
    this._later(isEnd ? 0 : this._quietFor);
  }

  private _onScheduled(
    _: unknown,
    { notebook, cell }: { notebook: unknown; cell: unknown }
  ): void {
    if (notebook === this._panel.content) {
      this._running.delete(cell as CodeCell);
      this._running.add(cell as CodeCell);
    }
  }

  private _onExecuted(_: unknown, { cell }: { cell: unknown }): void {
    this._running.delete(cell as CodeCell);
  }

  /** Looks after so many milliseconds, or sooner where that is planned. */
  private _later(milliseconds: number): void {
    const at = Date.now() + milliseconds;
    if (
      this._isDisposed ||
      this.kernel.isDisposed ||
      (this._soon && this._soon.at <= at)
    ) {
      return;
    }
    this._soon?.cancel();
    const cancel = this._timer(() => {
      this._soon = null;
      void this._look();
    }, milliseconds);
    this._soon = { at, cancel };
  }

  /** True where the notebook has what was recorded. */
  private async _look(isLast = false): Promise<boolean> {
    if (this._isLooking && !isLast) {
      this._later(PAUSE);
      return false;
    }
    this._isLooking = true;
    let isTaken = false;
    const began = Date.now();
    try {
      const runs = await this._runs();
      await this._panel.context.ready;
      if (this._isOurs(isLast)) {
        this._isDue = false;
        isTaken = await this._take(runs, isLast);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._isDue = true; // until the kernel may answer
    } finally {
      this._isLooking = false;
    }
    if (!isLast && !this._isDue) {
      this._quietFor = Math.max(PAUSE, LOOKS_SHARE * (Date.now() - began));
      if ([...this._over].some(id => this._followed.has(id))) {
        this._later(this._quietFor); // what was heard of its end had overtaken the record
      } else if (this._lost.size) {
        this._later(LOST);
      }
    }
    return isTaken;
  }

  /** Another kernel's cells are not touched. The last look comes when Lab may have let go of this one. */
  private _isOurs(isLast: boolean): boolean {
    const { isDisposed, sessionContext } = this._panel;
    const now = sessionContext.session?.kernel?.id;
    return (
      !this._isDisposed &&
      !isDisposed &&
      (isLast
        ? !now || now === this.kernel.id
        : now === this.kernel.id && !this.kernel.isDisposed)
    );
  }

  /** False where the cells became another kernel's meanwhile. */
  private async _take(runs: Run[], isLast: boolean): Promise<boolean> {
    const cells = new Map(
      codeCellsOf(this._panel).map(one => [one.model.id, one])
    );
    this._complete.clear();
    const steps: {
      run: Run;
      cell: CodeCell;
      step: Step;
    }[] = [];
    for (const run of runs) {
      const cell = run.cell === null ? undefined : cells.get(run.cell);
      if (!cell || this._settled.has(run.msg_id)) {
        continue;
      }
      const outputs = asShown(run.outputs);
      const shown = withoutTyped(cell.model.outputs.toJSON());
      const step = stepFor(run, outputs, {
        outputs: shown,
        executionCount: cell.model.executionCount,
        isRunning: cell.model.executionState === 'running',
        asked: this._asked(cell)
      });
      if (step && run.state === 'done' && !run.broken) {
        this._complete.add(cell);
      }
      if (step && !(isLast && step.set && !isMore(outputs, shown))) {
        steps.push({ run, cell, step });
      }
    }
    const futures = steps.flatMap(({ cell, step }) => {
      const { future } = cell.outputArea;
      return future && !future.isDisposed ? [{ future, step }] : [];
    });
    const over = futures.filter(({ step }) => !step.follow);
    for (const { future } of futures) {
      // What it hears is in the record as well. It still asks the person what the cell wants to know (input()).
      future.onIOPub = future.onReply = () => undefined;
    }
    if (over.length) {
      over.forEach(({ future }) => future.dispose());
      // Whoever waits for them first says that their cells are idle.
      await new Promise<void>(resolve => this._timer(resolve, 0));
      if (!this._isOurs(isLast)) {
        return false;
      }
    }
    this._followed.clear();
    for (const { run, cell, step } of steps) {
      if (cell.isDisposed) {
        continue;
      }
      if (step.set) {
        put(cell, run, this._trans);
      } else {
        settle(cell, run);
      }
      if (step.follow) {
        this._followed.set(run.msg_id, cell);
      } else {
        this._settled.add(run.msg_id);
        this._running.delete(cell);
      }
    }
    this._giveUp(new Set(runs.map(one => one.msg_id)));
    return true;
  }

  /** Ends the executions of which there is no trace: their messages were lost on the way. */
  private _giveUp(known: Set<string>): void {
    const now = Date.now();
    const lost = new Map<string, number>();
    for (const cell of codeCellsOf(this._panel)) {
      const { future } = cell.outputArea;
      const id = future?.msg.header.msg_id;
      if (!id || future.isDisposed || known.has(id) || !this._missed.has(id)) {
        continue;
      }
      const since = this._lost.get(id) ?? now;
      if (now - since < LOST) {
        lost.set(id, since);
        continue;
      }
      future.dispose();
      this._running.delete(cell);
      cell.model.outputs.add(
        errorOutput(
          'NotRun',
          this._trans.__(
            'This cell was not run: the connection broke while it was sent. Run it again.'
          )
        )
      );
    }
    this._lost = lost;
  }

  private _asked(cell: CodeCell): { id: string; missed: boolean } | null {
    const id = cell.outputArea.future?.msg.header.msg_id;
    return id ? { id, missed: this._missed.has(id) } : null;
  }
}
