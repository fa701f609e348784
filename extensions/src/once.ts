/** Orders that open a dialog: an impatient second click must not open a second one behind the first. */

/** The same order, which does nothing while an earlier call of it is on its way. */
export function oneAtATime<Args extends unknown[]>(
  order: (...args: Args) => Promise<void>
): (...args: Args) => Promise<void> {
  let isUnderway = false;
  return async (...args) => {
    if (isUnderway) {
      return;
    }
    isUnderway = true;
    try {
      await order(...args);
    } finally {
      isUnderway = false;
    }
  };
}
