/** Says in a cluster's row that it is about to end for want of work, and keeps it with one click. */

import React from 'react';

import type { Clusters } from './clusters.ts';
import type { Cluster } from './contract.ts';
import { showClock } from './quantity.ts';
import { idleLine, type Words } from './words.ts';

interface IdleNoticeProps {
  cluster: Cluster;
  clusters: Clusters;
  trans: Words;
}

export function IdleNotice(props: IdleNoticeProps): React.ReactElement {
  const { cluster, clusters, trans } = props;
  const line = idleLine(cluster, trans, time => showClock(time, clusters.now));
  return (
    <div role="status" className="shopfloor-Idle">
      {line}
      {line !== null && (
        <>
          {' '}
          <button
            type="button"
            className="shopfloor-LinkButton"
            aria-label={trans.__('Keep cluster %1', cluster.name)}
            disabled={clusters.isStopping(cluster.id)}
            onClick={() => void clusters.keep(cluster)}
          >
            {trans.__('Keep it')}
          </button>
        </>
      )}
    </div>
  );
}
