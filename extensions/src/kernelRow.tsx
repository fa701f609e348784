/** One kernel in the panel: a line that unfolds to its use and to what can be done with it; row.tsx is a cluster's. */

import { PathExt } from '@jupyterlab/coreutils';
import React, { useState } from 'react';

import { IdleNotice } from './idleNotice.tsx';
import type { JobKernels } from './jobKernels.ts';
import type { JobKernel } from './kernelContract.ts';
import {
  endingLine,
  heldLine,
  idleSentence,
  kernelName,
  silentLine
} from './kernelWords.ts';
import { showClock } from './quantity.ts';
import { LogTail, RowHead } from './rowParts.tsx';
import { UseList } from './useList.tsx';
import { queueLine, stateLine, timeLeft, type Words } from './words.ts';

/** What a row's buttons do beyond the list itself. */
export interface KernelActions {
  open: (kernel: JobKernel) => void;
  interrupt: (kernel: JobKernel) => Promise<void>;
  /** Asks, for all variables are lost. */
  restart: (kernel: JobKernel) => Promise<void>;
  /** Asks if it computes. */
  stop: (kernel: JobKernel) => Promise<void>;
  remove: (kernel: JobKernel) => Promise<void>;
  startAgain: (kernel: JobKernel) => Promise<void>;
}

interface RowProps {
  kernel: JobKernel;
  jobs: JobKernels;
  actions: KernelActions;
  trans: Words;
}

export function KernelRow(props: RowProps): React.ReactElement {
  const { kernel, jobs, actions, trans } = props;
  const ended = kernel.state === 'ended';
  // Null: nobody has folded or unfolded it.
  const [chosen, setChosen] = useState<boolean | null>(null);
  const open = chosen ?? false;
  const details = `shopfloor-details-${kernel.id}`;
  const clock = (time: number) => showClock(time, jobs.now);
  const stale = jobs.problem !== null;
  const left = timeLeft(kernel, jobs.now, trans);
  const line =
    silentLine(kernel, trans, clock) ??
    endingLine(kernel, trans) ??
    [stateLine(kernel, trans), queueLine(kernel, trans, clock)]
      .filter(Boolean)
      .join(' · ');
  return (
    <li
      className={`shopfloor-Row${stale ? ' shopfloor-mod-stale' : ''}`}
      data-testid="shopfloor-job-kernel"
      data-kernel-id={kernel.id}
      data-state={kernel.state}
    >
      <RowHead
        name={kernelName(kernel)}
        state={kernel.state}
        open={open}
        details={details}
        onToggle={() => setChosen(!open)}
      >
        {left && !stale && kernel.state === 'running' && (
          <span className="shopfloor-Grey" data-testid="shopfloor-time-left">
            {left}
          </span>
        )}
      </RowHead>
      <div
        className="shopfloor-Row-line"
        data-testid="shopfloor-state"
        title={kernel.detail ?? undefined}
      >
        {jobs.isGoing(kernel.id) && !ended ? trans.__('Stopping…') : line}
      </div>
      <div role="alert" className="shopfloor-Problem shopfloor-Row-refusal">
        {jobs.refusal(kernel.id)}
      </div>
      {!ended && (
        <IdleNotice
          line={idleSentence(kernel, trans, clock)}
          label={trans.__('Keep the kernel of %1', kernelName(kernel))}
          isGoing={jobs.isGoing(kernel.id)}
          keep={() => void jobs.keep(kernel)}
          trans={trans}
        />
      )}
      {open && (
        <div id={details} className="shopfloor-Row-body">
          <div className="shopfloor-Grey">
            {kernel.path !== null && (
              <>
                <button
                  type="button"
                  className="shopfloor-LinkButton"
                  title={trans.__('Open %1', kernel.path)}
                  onClick={() => actions.open(kernel)}
                >
                  {PathExt.basename(kernel.path)}
                </button>
                {' · '}
              </>
            )}
            {[kernel.label, kernel.hardware].filter(Boolean).join(' · ')}
          </div>
          {ended ? <Ended {...props} /> : <Living {...props} />}
        </div>
      )}
      {ended && <EndedButtons {...props} />}
    </li>
  );
}

function Living(props: RowProps): React.ReactElement {
  const { kernel, jobs, actions, trans } = props;
  const going = jobs.isGoing(kernel.id);
  const running = kernel.state === 'running';
  const held = heldLine(kernel, trans);
  return (
    <>
      {kernel.use && (
        <UseList use={kernel.use} memoryEnds="kernel" trans={trans} />
      )}
      {held && <div className="shopfloor-Grey">{held}</div>}
      <div className="shopfloor-Buttons">
        <button
          type="button"
          className="jp-mod-styled"
          disabled={!running || going}
          onClick={() => void actions.interrupt(kernel)}
        >
          {trans.__('Interrupt')}
        </button>
        <button
          type="button"
          className="jp-mod-styled"
          disabled={!running || going}
          onClick={() => void actions.restart(kernel)}
        >
          {trans.__('Restart…')}
        </button>
      </div>
      <div className="shopfloor-Row-foot shopfloor-Grey">
        {trans.__('Closing the tab does not stop it.')}{' '}
        {kernel.ends !== null && (
          <>
            {trans.__('It ends at %1', showClock(kernel.ends, jobs.now))}
            {' · '}
          </>
        )}
        <button
          type="button"
          className="shopfloor-LinkButton"
          aria-label={trans.__('Stop the kernel of %1', kernelName(kernel))}
          disabled={going}
          onClick={() => void actions.stop(kernel)}
        >
          {running ? trans.__('Stop') : trans.__('Cancel')}
        </button>
      </div>
    </>
  );
}

function Ended(props: RowProps): React.ReactElement {
  const { kernel, trans } = props;
  const held = heldLine(kernel, trans);
  return (
    <>
      {held && <div className="shopfloor-Grey">{held}</div>}
      {kernel.detail && <div className="shopfloor-Grey">{kernel.detail}</div>}
      <LogTail log={kernel.log} trans={trans} />
    </>
  );
}

function EndedButtons(props: RowProps): React.ReactElement {
  const { kernel, jobs, actions, trans } = props;
  const going = jobs.isGoing(kernel.id);
  return (
    <div className="shopfloor-Buttons">
      <button
        type="button"
        className="jp-mod-styled"
        disabled={going}
        onClick={() => void actions.startAgain(kernel)}
      >
        {trans.__('Start again…')}
      </button>
      <button
        type="button"
        className="jp-mod-styled"
        aria-label={trans.__(
          'Remove the kernel of %1 from the list',
          kernelName(kernel)
        )}
        disabled={going}
        onClick={() => void actions.remove(kernel)}
      >
        {trans.__('Remove')}
      </button>
    </div>
  );
}
