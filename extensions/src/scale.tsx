/** How many workers a cluster shall have: a number with − and +, or a range that follows the work. */

import React, { useRef, useState } from 'react';

import type { Clusters } from './clusters.ts';
import type { Cluster, Range } from './contract.ts';
import { readRange, type Words } from './words.ts';

interface ScaleProps {
  cluster: Cluster;
  clusters: Clusters;
  trans: Words;
}

export function Scale(props: ScaleProps): React.ReactElement {
  const { cluster, clusters, trans } = props;
  const [asking, setAsking] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const { adapt } = cluster.workers;
  const wanted = clusters.wanted(cluster);
  // Before it runs there is nobody to tell.
  const fixed = cluster.state !== 'running' || clusters.isStopping(cluster.id);
  return (
    <>
      <div
        className="shopfloor-Scale"
        role="group"
        aria-label={trans.__('Number of workers')}
      >
        <span>{trans.__('Workers')}</span>
        <button
          type="button"
          className="shopfloor-IconButton"
          aria-label={trans.__('Remove worker')}
          title={trans.__('Remove worker')}
          disabled={wanted <= 0 || fixed}
          onClick={() => void clusters.scale(cluster, wanted - 1)}
        >
          −
        </button>
        <output
          aria-label={trans.__('Workers asked for')}
          // A number that follows the work changes all the time.
          aria-live={adapt ? 'off' : 'polite'}
          data-testid="shopfloor-wanted"
        >
          {wanted}
        </output>
        <button
          type="button"
          className="shopfloor-IconButton"
          aria-label={trans.__('Add worker')}
          title={trans.__('Add worker')}
          disabled={fixed}
          onClick={() => void clusters.scale(cluster, wanted + 1)}
        >
          +
        </button>
      </div>
      <div className="shopfloor-Range">
        <button
          ref={opener}
          type="button"
          className="shopfloor-LinkButton"
          aria-expanded={asking}
          disabled={fixed}
          onClick={() => setAsking(!asking)}
        >
          {adapt
            ? trans.__('%1 to %2, as needed', adapt.minimum, adapt.maximum)
            : trans.__('As many as needed…')}
        </button>
      </div>
      {asking && !fixed && (
        <AskRange
          {...props}
          onDone={() => {
            // What had the focus goes with the form.
            opener.current?.focus();
            setAsking(false);
          }}
        />
      )}
    </>
  );
}

/** Two numbers, and why they cannot be. */
function AskRange(
  props: ScaleProps & { onDone: () => void }
): React.ReactElement {
  const { cluster, clusters, trans, onDone } = props;
  const before: Range = cluster.workers.adapt ?? {
    minimum: 0,
    maximum: Math.max(clusters.wanted(cluster), 2)
  };
  const [minimum, setMinimum] = useState(String(before.minimum));
  const [maximum, setMaximum] = useState(String(before.maximum));
  const [problem, setProblem] = useState<string | null>(null);
  const id = `shopfloor-range-${cluster.id}`;
  const field = (
    label: string,
    value: string,
    onChange: (value: string) => void
  ) => (
    <input
      type="text"
      inputMode="numeric"
      size={3}
      aria-label={label}
      aria-describedby={id}
      value={value}
      onChange={event => onChange(event.target.value)}
    />
  );
  return (
    <form
      className="shopfloor-Range"
      noValidate
      onSubmit={event => {
        event.preventDefault();
        const read = readRange(minimum, maximum, trans);
        if ('problem' in read) {
          setProblem(read.problem);
          return;
        }
        onDone();
        void clusters.adapt(cluster, read.range);
      }}
    >
      <div>
        {field(trans.__('Fewest workers'), minimum, setMinimum)}
        <span>{trans.__('to')}</span>
        {field(trans.__('Most workers'), maximum, setMaximum)}
        <button type="submit" className="shopfloor-LinkButton">
          {trans.__('Set')}
        </button>
      </div>
      <div className="shopfloor-Grey">
        {trans.__(
          'More are asked for as soon as there is work for them, fewer after a minute without.'
        )}
      </div>
      <div id={id} role="alert" className="shopfloor-Problem">
        {problem}
      </div>
    </form>
  );
}
