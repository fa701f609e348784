/** The item in a notebook's toolbar that says where its kernel runs, and what can be done about that; `kernelWords.ts` says it. */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { type ISignal, Signal } from '@lumino/signaling';
import React from 'react';

import type { FormParts } from './contract.ts';
import type { JobKernels } from './jobKernels.ts';
import { againButton } from './kernelAgain.ts';
import type { Chosen, JobKernel } from './kernelContract.ts';
import { chosenBefore } from './kernelOrders.ts';
import { isIdleWarned, spokenLine, toolbarLine } from './kernelWords.ts';
import { showClock } from './quantity.ts';
import { Dot } from './rowParts.tsx';
import type { Words } from './words.ts';

/** What the item shows of its notebook, and what its buttons do. */
export interface KernelItemParts {
  panel: NotebookPanel;
  jobs: JobKernels;
  /** The notebook's kernel, if that is a job or was one until it ended. */
  jobOf: (panel: NotebookPanel) => JobKernel | null;
  /** What names the presets, once it is there. */
  form: () => FormParts | null;
  formCame: ISignal<unknown, void>;
  /** Asks where it shall run. */
  change: (panel: NotebookPanel) => void;
  /** Asks once more for what was chosen before. */
  again: (panel: NotebookPanel, name: string, chosen: Chosen) => void;
  cancel: (kernel: JobKernel) => void;
  keep: (kernel: JobKernel) => void;
  trans: Words;
}

export class KernelItem extends ReactWidget {
  private _parts: KernelItemParts;
  private _changed = new Signal<this, void>(this);

  constructor(parts: KernelItemParts) {
    super();
    this._parts = parts;
    this.addClass('shopfloor-Kernel');
    const { panel, jobs, formCame } = parts;
    const redraw = () => this._changed.emit();
    jobs.changed.connect(redraw, this);
    formCame.connect(redraw, this);
    panel.sessionContext.kernelChanged.connect(redraw, this);
    void panel.context.ready.then(() => {
      if (!this.isDisposed) {
        panel.content.model?.metadataChanged.connect(redraw, this);
        redraw();
      }
    });
  }

  override dispose(): void {
    if (!this.isDisposed) {
      Signal.clearData(this);
    }
    super.dispose();
  }

  protected override render(): React.ReactElement {
    return <UseSignal signal={this._changed}>{() => this._draw()}</UseSignal>;
  }

  private _draw(): React.ReactElement {
    const { panel, jobs, jobOf } = this._parts;
    if (jobs.list === null || panel.isDisposed) {
      // Not known yet, or there is nothing of the kind on this server.
      return <></>;
    }
    const kernel = jobOf(panel);
    return kernel ? (
      <OnNode {...this._parts} kernel={kernel} />
    ) : (
      <Here {...this._parts} />
    );
  }
}

function Here(props: KernelItemParts): React.ReactElement {
  const { panel, form, change, again, trans } = props;
  const chosen = chosenBefore(panel);
  const context = panel.sessionContext;
  const name = context.session?.kernel?.name ?? context.kernelPreference.name;
  const button =
    chosen &&
    name &&
    againButton(
      chosen,
      form(),
      { start: one => again(panel, name, one), ask: () => change(panel) },
      trans
    );
  return (
    <div className="shopfloor-Kernel-line" data-testid="shopfloor-kernel">
      <button
        type="button"
        className="shopfloor-LinkButton"
        title={trans.__(
          'The kernel runs in JupyterLab’s own job. Click to run it on a compute node.'
        )}
        aria-haspopup="dialog"
        onClick={() => change(panel)}
      >
        {trans.__('Here')}
      </button>
      {button && (
        <>
          <Between />
          <button
            type="button"
            className="shopfloor-LinkButton"
            title={button.title}
            aria-haspopup={button.opensDialog ? 'dialog' : undefined}
            onClick={button.order}
          >
            {button.label}
          </button>
        </>
      )}
    </div>
  );
}

function OnNode(
  props: KernelItemParts & { kernel: JobKernel }
): React.ReactElement {
  const { panel, kernel, jobs, trans } = props;
  const clock = (time: number) => showClock(time, jobs.now);
  const line = toolbarLine(kernel, jobs.now, trans, clock);
  const going = jobs.isGoing(kernel.id) && kernel.state !== 'ended';
  const orders: [string, string, () => void][] = [];
  if (kernel.state === 'ended') {
    orders.push([
      trans.__('Start again'),
      trans.__('Ask once more for what it ran on'),
      () => props.again(panel, kernel.name, kernel.chosen)
    ]);
  } else if (isIdleWarned(kernel)) {
    orders.push([
      trans.__('Keep it'),
      trans.__('Let the kernel live though it computes nothing'),
      () => props.keep(kernel)
    ]);
  } else if (kernel.state !== 'running') {
    orders.push([
      trans.__('Cancel'),
      trans.__('Ask for this kernel no more'),
      () => props.cancel(kernel)
    ]);
  }
  orders.push([
    trans.__('Change…'),
    trans.__('Run this notebook on something else'),
    () => props.change(panel)
  ]);
  return (
    <div
      className="shopfloor-Kernel-line"
      data-testid="shopfloor-kernel"
      data-state={kernel.state}
    >
      <Dot state={kernel.state} />
      <span
        className="shopfloor-Kernel-text"
        title={[line, kernel.hardware, jobs.problem].filter(Boolean).join('\n')}
      >
        {going ? trans.__('Stopping…') : line}
      </span>
      {!going &&
        orders.map(([label, title, order]) => (
          <React.Fragment key={label}>
            <Between />
            <button
              type="button"
              className="shopfloor-LinkButton"
              title={title}
              onClick={order}
            >
              {label}
            </button>
          </React.Fragment>
        ))}
      <span role="status" className="shopfloor-mod-unseen">
        {spokenLine(kernel, trans, clock)}
      </span>
    </div>
  );
}

function Between(): React.ReactElement {
  return <span aria-hidden="true">·</span>;
}
