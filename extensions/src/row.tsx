/** One Dask cluster in the panel: a line that unfolds to its workers, use, and what can be done with it. */

import React, { useState } from 'react';

import type { Clusters } from './clusters.ts';
import type { Cluster } from './contract.ts';
import { ClusterFigures } from './figures.tsx';
import { spentLine, tookLine } from './figureWords.ts';
import { IdleNotice } from './idleNotice.tsx';
import type { Actions } from './panel.tsx';
import { showClock } from './quantity.ts';
import { Caret, LogTail, RowHead, WorkerItem } from './rowParts.tsx';
import { Scale } from './scale.tsx';
import { shareLine } from './sharing.ts';
import { Troubles } from './troubles.tsx';
import {
  canRetry,
  idleLine,
  queueLine,
  stateLine,
  timeLeft,
  type Words,
  workersLine
} from './words.ts';

interface RowProps {
  cluster: Cluster;
  clusters: Clusters;
  actions: Actions;
  trans: Words;
}

export function ClusterRow(props: RowProps): React.ReactElement {
  const { cluster, clusters, trans } = props;
  const ended = cluster.state === 'ended';
  // Null: nobody has folded or unfolded it, so what lives is open and what ended is closed.
  const [chosen, setChosen] = useState<boolean | null>(null);
  const open = chosen ?? !ended;
  const details = `shopfloor-details-${cluster.id}`;
  const stopping = clusters.isStopping(cluster.id);
  const refusal = clusters.refusal(cluster.id);
  const left = timeLeft(cluster, clusters.now, trans);
  const queue = queueLine(cluster, trans, time =>
    showClock(time, clusters.now)
  );
  const stale = clusters.problem !== null || clusters.asOf !== null;
  return (
    <li
      className={`shopfloor-Row${stale ? ' shopfloor-mod-stale' : ''}`}
      data-testid="shopfloor-cluster"
      data-cluster-id={cluster.id}
      data-state={cluster.state}
    >
      <RowHead
        name={cluster.name}
        state={cluster.state}
        open={open}
        details={details}
        onToggle={() => setChosen(!open)}
      >
        {left && !stale && (
          <span className="shopfloor-Grey" data-testid="shopfloor-time-left">
            {left}
          </span>
        )}
      </RowHead>
      <div
        className="shopfloor-Row-line"
        data-testid="shopfloor-state"
        title={cluster.detail ?? undefined}
      >
        {stopping && !ended
          ? trans.__('Stopping…')
          : [stateLine(cluster, trans), queue].filter(Boolean).join(' · ')}
      </div>
      <div role="alert" className="shopfloor-Problem shopfloor-Row-refusal">
        {refusal}
      </div>
      <Troubles
        cluster={cluster}
        now={clusters.now}
        explain={props.actions.explainTrouble}
        trans={trans}
      />
      {!ended && (
        <IdleNotice
          line={idleLine(cluster, trans, time => showClock(time, clusters.now))}
          label={trans.__('Keep cluster %1', cluster.name)}
          isGoing={stopping}
          keep={() => void clusters.keep(cluster)}
          trans={trans}
        />
      )}
      {open && (
        <div id={details} className="shopfloor-Row-body">
          {ended ? <Ended {...props} /> : <Living {...props} />}
        </div>
      )}
      {ended && <EndedButtons {...props} />}
    </li>
  );
}

function Living(props: RowProps): React.ReactElement {
  const { cluster, clusters, actions, trans } = props;
  const [busy, setBusy] = useState(false);
  const stopping = clusters.isStopping(cluster.id);
  const running = cluster.state === 'running';
  const cost = spentLine(cluster.spent, trans);
  const use = async () => {
    setBusy(true);
    try {
      await actions.putInNotebook(cluster);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Scale {...props} />
      <Workers {...props} />
      <ClusterFigures cluster={cluster} trans={trans} />
      <div className="shopfloor-Buttons">
        <button
          type="button"
          className="jp-mod-styled jp-mod-accept"
          disabled={!running || busy || stopping}
          title={
            running
              ? trans.__('Put the connecting cell into the open notebook')
              : trans.__('Can be used as soon as it runs')
          }
          onClick={() => void use()}
        >
          {trans.__('Use in notebook')}
        </button>
        <button
          type="button"
          className="jp-mod-styled"
          aria-haspopup="menu"
          disabled={!running || stopping}
          title={
            running
              ? trans.__('Watch it compute, in panes beside the notebook')
              : trans.__('There as soon as it runs')
          }
          onClick={event =>
            void actions.showPlots(cluster, event.currentTarget)
          }
        >
          {trans.__('Plots')}
        </button>
      </div>
      <div className="shopfloor-Row-foot shopfloor-Grey">
        {cost && <div data-testid="shopfloor-spent">{cost}</div>}
        {cluster.shared && (
          <div data-testid="shopfloor-seen-by">
            {shareLine(cluster.shared, trans, time =>
              showClock(time, clusters.now)
            )}
          </div>
        )}
        {trans.__('Closing the tab does not stop it.')}{' '}
        {cluster.ends !== null && (
          <>
            {trans.__('It ends at %1', showClock(cluster.ends, clusters.now))}
            {' · '}
          </>
        )}
        <button
          type="button"
          className="shopfloor-LinkButton"
          aria-haspopup="dialog"
          title={trans.__('Show it to others, who can only look')}
          disabled={stopping}
          onClick={() => void actions.share(cluster)}
        >
          {trans.__('Share view…')}
        </button>
        {' · '}
        <button
          type="button"
          className="shopfloor-LinkButton"
          aria-label={trans.__('Stop cluster')}
          title={trans.__('Stop cluster')}
          disabled={stopping}
          onClick={() => void actions.stop(cluster)}
        >
          {trans.__('Stop')}
        </button>
      </div>
    </>
  );
}

function Workers(props: RowProps): React.ReactElement {
  const { cluster, clusters, trans } = props;
  const [open, setOpen] = useState(false);
  const { rows } = cluster.workers;
  const line = workersLine(cluster, trans);
  if (rows.length === 0) {
    return <div data-testid="shopfloor-workers">{line}</div>;
  }
  const list = `shopfloor-workers-${cluster.id}`;
  return (
    <div data-testid="shopfloor-workers">
      <button
        type="button"
        className="shopfloor-Fold"
        aria-expanded={open}
        aria-controls={list}
        onClick={() => setOpen(!open)}
      >
        <Caret open={open} />
        <span>{line}</span>
      </button>
      {canRetry(cluster) && (
        <button
          type="button"
          className="shopfloor-LinkButton"
          disabled={clusters.isStopping(cluster.id)}
          onClick={() => void clusters.retry(cluster)}
        >
          {trans.__('Retry')}
        </button>
      )}
      {open && (
        <ul
          id={list}
          className="shopfloor-Workers"
          aria-label={trans.__('Workers')}
        >
          {rows.map(worker => (
            <WorkerItem
              key={worker.name}
              worker={worker}
              figures={cluster.figures}
              clock={time => showClock(time, clusters.now)}
              trans={trans}
            >
              {worker.log && (
                <details>
                  <summary>{trans.__('Its last lines')}</summary>
                  <pre className="shopfloor-Log" tabIndex={0}>
                    {worker.log}
                  </pre>
                </details>
              )}
            </WorkerItem>
          ))}
        </ul>
      )}
    </div>
  );
}

function Ended(props: RowProps): React.ReactElement {
  const { cluster, trans } = props;
  const took = tookLine(cluster.spent, trans);
  return (
    <>
      {took && (
        <div className="shopfloor-Grey" data-testid="shopfloor-took">
          {took}
        </div>
      )}
      {cluster.detail && <div className="shopfloor-Grey">{cluster.detail}</div>}
      <LogTail log={cluster.log} trans={trans} />
    </>
  );
}

function EndedButtons(props: RowProps): React.ReactElement {
  const { cluster, clusters, actions, trans } = props;
  const going = clusters.isStopping(cluster.id);
  return (
    <div className="shopfloor-Buttons">
      <button
        type="button"
        className="jp-mod-styled"
        disabled={going}
        onClick={() => actions.startAgain(cluster)}
      >
        {trans.__('Start again…')}
      </button>
      <button
        type="button"
        className="jp-mod-styled"
        aria-label={trans.__('Remove cluster from the list')}
        disabled={going}
        onClick={() => void clusters.remove(cluster)}
      >
        {trans.__('Remove')}
      </button>
    </div>
  );
}
