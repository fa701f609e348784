/** The last place for a refusal: a notification, where no row or form could show it. */

import { Notification } from '@jupyterlab/apputils';

import { Refusal } from './refusal.ts';

/** Runs an order; a refusal becomes a notification. */
export async function orNotify<T>(
  order: () => Promise<T>
): Promise<T | undefined> {
  try {
    return await order();
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    Notification.error(error.message, { autoClose: false });
    return undefined;
  }
}
