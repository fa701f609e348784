/** Lab's notifications of clusters that end soon; `endWarnings.ts` says of which, to whom, and how often. */

import { Notification } from '@jupyterlab/apputils';
import type { Event } from '@jupyterlab/services';

import type { Api } from './api.ts';
import type { Clusters } from './clusters.ts';
import { EndWarnings, readWarned, type Warned } from './endWarnings.ts';
import { showClock } from './quantity.ts';
import { Refusal } from './refusal.ts';
import { idleWarning, timeWarning, type Words } from './words.ts';

const EVENT = 'urn:shopfloor:ending-clusters';

/** Listens as long as Lab lives; `isSeen` says whether the panel is seen. */
export function notifyOfEnds(
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
  const show = ({ id, name, why, ends }: Warned) => {
    const at = showClock(ends, Date.now() / 1000);
    if (why === 'time') {
      return Notification.warning(timeWarning(name, at, trans), {
        autoClose: false
      });
    }
    return Notification.warning(idleWarning(name, at, trans), {
      autoClose: false,
      actions: [
        {
          label: trans.__('Keep it'),
          caption: trans.__('Keep cluster %1', name),
          displayType: 'accent',
          callback: () => void keep(id)
        }
      ]
    });
  };
  const warnings = new EndWarnings(
    { show, dismiss: id => Notification.dismiss(id) },
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
