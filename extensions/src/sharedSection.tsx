/** The panel's section *Shared with you*: others' clusters, drawn here from figures; nothing in it can be pressed but to fold. */

import React, { useId } from 'react';

import type { Cluster } from './contract.ts';
import { ClusterFigures } from './figures.tsx';
import { showBytes, showClock } from './quantity.ts';
import { RowHead, WorkerItem } from './rowParts.tsx';
import type { SharedViews } from './sharedViews.ts';
import {
  ageLine,
  clusterOf,
  linePoints,
  type Sample,
  type SharedItem,
  type SharedView
} from './sharing.ts';
import {
  queueLine,
  stateLine,
  timeLeft,
  type Words,
  workersLine
} from './words.ts';

const WIDTH = 200;
const HEIGHT = 36;

interface SectionProps {
  shared: SharedViews;
  trans: Words;
}

/** Nothing where nobody shows anything. */
export function SharedSection(props: SectionProps): React.ReactElement | null {
  const { shared, trans } = props;
  if (shared.list.length === 0) {
    return null;
  }
  return (
    <section aria-labelledby="shopfloor-shared" data-testid="shopfloor-shared">
      <div className="shopfloor-Jobs-head">
        <h2 id="shopfloor-shared">{trans.__('Shared with you')}</h2>
      </div>
      <ul
        className="shopfloor-Jobs-list"
        aria-label={trans.__('Clusters that others show to you')}
      >
        {shared.list.map(item => (
          <SharedRow
            key={`${item.owner}/${item.cluster}`}
            item={item}
            {...props}
          />
        ))}
      </ul>
    </section>
  );
}

function SharedRow(
  props: SectionProps & { item: SharedItem }
): React.ReactElement {
  const { item, shared, trans } = props;
  const open = shared.isOpen(item);
  const seen = shared.view(item);
  const problem = shared.problem(item);
  // Not made of the owner's name, which may have spaces.
  const details = useId();
  const state = seen?.view.state ?? item.state;
  return (
    <li
      className="shopfloor-Row"
      data-testid="shopfloor-shared-cluster"
      data-state={state}
    >
      <RowHead
        name={item.name}
        state={state}
        open={open}
        details={details}
        onToggle={() => shared.toggle(item)}
      >
        <span className="shopfloor-Grey">{item.owner}</span>
      </RowHead>
      {open && (
        <div id={details} className="shopfloor-Row-body">
          {problem && (
            <div role="alert" className="shopfloor-Problem">
              {problem}
            </div>
          )}
          {seen ? (
            <Seen seen={seen} trans={trans} />
          ) : (
            !problem && <div>{trans.__('Looking…')}</div>
          )}
        </div>
      )}
    </li>
  );
}

function Seen(props: { seen: SharedView; trans: Words }): React.ReactElement {
  const { seen, trans } = props;
  const cluster = clusterOf(seen);
  const clock = (time: number) => showClock(time, seen.server_time);
  const age = ageLine(seen, trans, clock);
  const left = timeLeft(cluster, seen.server_time, trans);
  return (
    <>
      <div data-testid="shopfloor-shared-state">
        {[stateLine(cluster, trans), queueLine(cluster, trans, clock), left]
          .filter(Boolean)
          .join(' · ')}
      </div>
      {age && <div className="shopfloor-Problem">{age}</div>}
      {cluster.state !== 'ended' && (
        <>
          {cluster.troubles.map(one => (
            <div key={one.kind} data-testid="shopfloor-trouble">
              {one.text}{' '}
              <span className="shopfloor-Grey">
                {trans.__('Since %1', clock(one.since))}
              </span>
            </div>
          ))}
          <details>
            <summary>{workersLine(cluster, trans)}</summary>
            <Rows cluster={cluster} clock={clock} trans={trans} />
          </details>
          <ClusterFigures cluster={cluster} trans={trans} />
          <History
            history={seen.view.history}
            cluster={cluster}
            trans={trans}
          />
        </>
      )}
      <div className="shopfloor-Row-foot shopfloor-Grey">
        {trans.__('%1 shows it until %2', seen.owner, clock(seen.until))}
      </div>
    </>
  );
}

function Rows(props: {
  cluster: Cluster;
  clock: (time: number) => string;
  trans: Words;
}): React.ReactElement {
  const { cluster, clock, trans } = props;
  return (
    <ul className="shopfloor-Workers" aria-label={trans.__('Workers')}>
      {cluster.workers.rows.map((worker, at) => (
        <WorkerItem
          key={at}
          worker={worker}
          figures={cluster.figures}
          clock={clock}
          trans={trans}
        />
      ))}
    </ul>
  );
}

/** How it went lately, as lines: memory of what there is, CPUs, and tasks per second. */
function History(props: {
  history: Sample[];
  cluster: Cluster;
  trans: Words;
}): React.ReactElement | null {
  const { history, cluster, trans } = props;
  const cpus = cluster.figures?.cpus ?? 0;
  if (history.length < 2) {
    return null;
  }
  const lines = [
    {
      label: trans.__('Memory'),
      values: history.map(one => one.memory),
      most: cluster.memory_limit,
      show: showBytes
    },
    {
      label: trans.__('CPU'),
      values: history.map(one => one.cpu / 100),
      most: cpus,
      show: (value: number) => value.toFixed(1)
    },
    {
      label: trans.__('Tasks per second'),
      values: history.map(one => one.rate ?? 0),
      most: Math.max(1, ...history.map(one => one.rate ?? 0)),
      show: (value: number) => value.toFixed(1)
    }
  ];
  return (
    <div className="shopfloor-History" data-testid="shopfloor-history">
      {lines.map(({ label, values, most, show }) => (
        <figure key={label}>
          <figcaption className="shopfloor-Grey">{label}</figcaption>
          <svg
            role="img"
            aria-label={trans.__(
              '%1: %2 at first, %3 now, %4 at most',
              label,
              show(values[0]),
              show(values[values.length - 1]),
              show(Math.max(...values))
            )}
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            preserveAspectRatio="none"
          >
            <polyline points={linePoints(values, most, WIDTH, HEIGHT)} />
          </svg>
        </figure>
      ))}
    </div>
  );
}
