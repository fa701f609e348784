/** Orders that open a dialog: an impatient second click must not open a second one behind the first. */

/** The same order, which does nothing while an earlier call of it is on its way. */
export function oneAtATime<Args extends unknown[], T>(
  order: (...args: Args) => Promise<T>
): (...args: Args) => Promise<T | undefined> {
  let isUnderway = false;
  return async (...args) => {
    if (isUnderway) {
      return undefined;
    }
    isUnderway = true;
    try {
      return await order(...args);
    } finally {
      isUnderway = false;
    }
  };
}
