/** What goes wrong on a cluster, below its name: a sentence, the next step, and the way to the page that explains it. */

import React from 'react';

import type { Cluster } from './contract.ts';
import { showClock } from './quantity.ts';
import type { Words } from './words.ts';

interface TroublesProps {
  cluster: Cluster;
  /** In epoch seconds of the server's clock. */
  now: number;
  /** Opens the page at this kind of trouble. */
  explain: (kind: string) => Promise<void>;
  trans: Words;
}

export function Troubles(props: TroublesProps): React.ReactElement {
  const { cluster, now, explain, trans } = props;
  // The region is there before it has anything to say, or a screen reader would not tell what comes.
  return (
    <div role="status" className="shopfloor-Troubles">
      {cluster.troubles.length > 0 && (
        <ul aria-label={trans.__('What goes wrong')}>
          {cluster.troubles.map(({ kind, text, next, since }) => (
            <li key={kind} data-testid="shopfloor-trouble" data-kind={kind}>
              {text} {next}{' '}
              <span className="shopfloor-Grey">
                {trans.__('Since %1', showClock(since, now))}
              </span>
              {' · '}
              <button
                type="button"
                className="shopfloor-LinkButton"
                aria-label={trans.__('Why, and what helps: %1', text)}
                onClick={() => void explain(kind)}
              >
                {trans.__('What helps')}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
