/** What a running cluster uses and how far it is, in its row: bars with words, and sentences where there is a reason. */

import React from 'react';

import type { Cluster } from './contract.ts';
import {
  type Gauge,
  gauges,
  memoryLines,
  progressLine,
  runs
} from './figureWords.ts';
import { tasksLine, type Words } from './words.ts';

interface FiguresProps {
  cluster: Cluster;
  trans: Words;
}

export function ClusterFigures(props: FiguresProps): React.ReactElement {
  const { cluster, trans } = props;
  return (
    <>
      <div className="shopfloor-Gauges" data-testid="shopfloor-gauges">
        {gauges(cluster, trans).map(gauge => (
          <GaugeRow key={gauge.label} gauge={gauge} />
        ))}
      </div>
      {memoryLines(cluster, trans).map(line => (
        <div
          key={line}
          className="shopfloor-Grey"
          data-testid="shopfloor-memory-line"
        >
          {line}
        </div>
      ))}
      <Computation {...props} />
      <div data-testid="shopfloor-tasks">{tasksLine(cluster.tasks, trans)}</div>
    </>
  );
}

function GaugeRow(props: { gauge: Gauge }): React.ReactElement {
  const { label, share, text, isFull } = props.gauge;
  const percent = Math.round(100 * share);
  return (
    <div className="shopfloor-Gauge">
      <span>{label}</span>
      <div
        className="shopfloor-Bar"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
        aria-valuetext={text}
        data-level={isFull ? 'high' : 'normal'}
      >
        <div style={{ width: `${percent}%` }} />
      </div>
      <span className="shopfloor-Grey">{text}</span>
    </div>
  );
}

/** How far what runs is, as a whole and by kind of task. */
function Computation(props: FiguresProps): React.ReactElement | null {
  const { cluster, trans } = props;
  const { figures } = cluster;
  if (!figures || !runs(figures.progress)) {
    return null;
  }
  const { done, all, groups } = figures.progress;
  return (
    <div data-testid="shopfloor-progress">
      <progress
        className="shopfloor-Progress"
        aria-label={trans.__('Progress of “%1”', cluster.name)}
        value={done}
        max={all}
      />
      <div className="shopfloor-Grey">{progressLine(figures, trans)}</div>
      {groups.length > 1 && (
        <details>
          <summary>{trans.__('By kind of task')}</summary>
          <ul
            className="shopfloor-Kinds"
            aria-label={trans.__('Kinds of task')}
          >
            {groups.map(one => (
              <li key={one.name}>
                <span title={one.name}>{one.name}</span>
                <span className="shopfloor-Grey">
                  {trans.__('%1 of %2', one.done, one.all)}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
