/** Stops a cluster, after a question where something would be lost by it. */

import type { Clusters } from './clusters.ts';
import type { Cluster } from './contract.ts';
import { oneAtATime } from './once.ts';
import { lossOnStop, type Words } from './words.ts';

/** The order to stop one; `isMeant` asks whether to, where something is lost. Others can be stopped while one stops. */
export function stopOrder(
  clusters: Clusters,
  isMeant: (cluster: Cluster, loss: string) => Promise<boolean>,
  trans: Words
): (cluster: Cluster) => Promise<void> {
  return oneAtATime(async cluster => {
    const loss = lossOnStop(cluster, trans);
    if (loss && !(await isMeant(cluster, loss))) {
      return;
    }
    void clusters.stop(cluster);
  });
}
