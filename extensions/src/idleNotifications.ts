/** Lab's notifications of idle clusters for who does not see the panel; `idleWarnings.ts` says which, and how often. */

import { Notification } from '@jupyterlab/apputils';
import type { Event } from '@jupyterlab/services';

import type { Api } from './api.ts';
import type { Clusters } from './clusters.ts';
import { IdleWarnings, readWarned } from './idleWarnings.ts';
import { showClock } from './quantity.ts';
import { Refusal } from './refusal.ts';
import { idleWarning, type Words } from './words.ts';

const EVENT = 'urn:shopfloor:idle-clusters';

/** Listens as long as Lab lives; `isSeen` says whether the panel is seen. */
export function notifyOfIdle(
  events: Event.IManager,
  api: Api,
  clusters: Clusters,
  isSeen: () => boolean,
  trans: Words
): void {
  const keep = async (id: string) => {
    try {
      await api.keepCluster(id);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      Notification.error(error.message, { autoClose: false });
    }
  };
  const warnings = new IdleWarnings(
    {
      show: ({ id, name, ends }) =>
        Notification.warning(
          idleWarning(name, showClock(ends, Date.now() / 1000), trans),
          {
            autoClose: false,
            actions: [
              {
                label: trans.__('Keep it'),
                caption: trans.__('Keep cluster %1', name),
                displayType: 'accent',
                callback: () => void keep(id)
              }
            ]
          }
        ),
      dismiss: id => Notification.dismiss(id)
    },
    isSeen
  );
  events.stream.connect((_, event) => {
    if (event.schema_id === EVENT) {
      warnings.take(readWarned(event));
    }
  });
  clusters.changed.connect(() => {
    if (clusters.list && !clusters.problem) {
      warnings.see(clusters.list);
    }
  });
}
