/** The dialog that starts a Dask cluster; `startForm.tsx` is what is in it. */

import type { Api } from './api.ts';
import type { Clusters } from './clusters.ts';
import type { Cluster } from './contract.ts';
import { askWith } from './offerDialog.ts';
import { type Beginning, StartForm } from './startForm.tsx';
import type { Words } from './words.ts';

/** Asks for a new cluster and starts it; null if the person thought better of it. Throws `Refusal`. */
export async function startCluster(
  api: Api,
  clusters: Clusters,
  trans: Words,
  beginning: Beginning
): Promise<Cluster | null> {
  return askWith(
    new StartForm(api, await api.form(), trans, beginning),
    {
      title: trans.__('New Dask cluster'),
      label: trans.__('Start cluster'),
      ariaLabel: trans.__('Start cluster'),
      start: start => clusters.start(start)
    },
    trans
  );
}
