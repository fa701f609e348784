/** Time-outs that tests can hold in their hands. */

/** Calls back after some milliseconds, unless what it returns is called before. */
export type Timer = (callback: () => void, milliseconds: number) => () => void;

export const timeout: Timer = (callback, milliseconds) => {
  const id = setTimeout(callback, milliseconds);
  return () => clearTimeout(id);
};
