/** What rows of clusters (row.tsx), of kernels (kernelRow.tsx) and of others' clusters (sharedSection.tsx) have in common. */

import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import React, { useCallback } from 'react';

import type { Cluster, Figures, Worker } from './contract.ts';
import { workerFigures } from './figureWords.ts';
import { type Words, workerLine } from './words.ts';

/** Points down where something is unfolded. */
export function Caret(props: { open: boolean }): React.ReactElement {
  const Icon = props.open ? caretDownIcon.react : caretRightIcon.react;
  return <Icon tag="span" className="shopfloor-Caret" aria-hidden="true" />;
}

/** The colour of a state; its word stands beside it. */
export function Dot(props: {
  state: Cluster['state'] | Worker['state'];
}): React.ReactElement {
  return (
    <span
      className="shopfloor-Dot"
      data-state={props.state}
      aria-hidden="true"
    />
  );
}

/** The button with a cluster's name that folds its row; `children` stand at its end. */
export function RowHead(props: {
  name: string;
  state: Cluster['state'];
  open: boolean;
  /** The id of what it folds. */
  details: string;
  onToggle: () => void;
  children: React.ReactNode;
}): React.ReactElement {
  const { name, state, open, details, onToggle, children } = props;
  return (
    <button
      type="button"
      className="shopfloor-Row-head"
      aria-expanded={open}
      aria-controls={details}
      onClick={onToggle}
    >
      <Caret open={open} />
      <Dot state={state} />
      <span className="shopfloor-Row-name" title={name}>
        {name}
      </span>
      {children}
    </button>
  );
}

/** One worker: its name, state, place and use; `children` stand below. */
export function WorkerItem(props: {
  worker: Worker;
  figures: Figures | null;
  /** Shows a time of day. */
  clock: (time: number) => string;
  trans: Words;
  children?: React.ReactNode;
}): React.ReactElement {
  const { worker, figures, clock, trans, children } = props;
  return (
    <li data-state={worker.state}>
      <div>
        <Dot state={worker.state} /> {worker.name}
      </div>
      <div className="shopfloor-Grey">
        {[
          workerLine(worker, trans, clock),
          ...workerFigures(worker, figures, trans)
        ].join(' · ')}
      </div>
      {children}
    </li>
  );
}

/** The last lines of a job that has ended. */
export function LogTail(props: {
  log: string | null;
  trans: Words;
}): React.ReactElement {
  const { log, trans } = props;
  // The end of a log says why; once, for after that the person scrolls.
  const toEnd = useCallback((part: HTMLPreElement | null) => {
    part?.scrollTo(0, part.scrollHeight);
  }, []);
  return log ? (
    <pre
      ref={toEnd}
      className="shopfloor-Log"
      tabIndex={0}
      aria-label={trans.__('Last lines of the log')}
    >
      {log}
    </pre>
  ) : (
    <div className="shopfloor-Grey">{trans.__('It wrote no log.')}</div>
  );
}
