/** The panel's last line: what the person's jobs held of GPUs this month, and how much of that they used. */

import { Signal } from '@lumino/signaling';
import React, { useEffect, useState } from 'react';

import type { Api } from './api.ts';
import type { GpuTime } from './kernelContract.ts';
import { gpuTimeLines } from './kernelWords.ts';
import { Refusal } from './refusal.ts';
import type { Words } from './words.ts';

const AGAIN = 120_000; // milliseconds; jobs write it down every minute

/** Asks while somebody sees the panel. */
export class GpuTimes {
  readonly changed = new Signal<this, void>(this);
  told: GpuTime | null = null;
  private _api: Pick<Api, 'gpuTime'>;
  private _timer: ReturnType<typeof setInterval> | null = null;

  constructor(api: Pick<Api, 'gpuTime'>) {
    this._api = api;
  }

  watch(isSeen: boolean): void {
    if (isSeen && this._timer === null) {
      this._timer = setInterval(() => void this._ask(), AGAIN);
      void this._ask();
    } else if (!isSeen && this._timer !== null) {
      clearInterval(this._timer);
      this._timer = null;
    }
  }

  private async _ask(): Promise<void> {
    try {
      this.told = await this._api.gpuTime();
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      return; // what was told stays: it is of this month
    }
    this.changed.emit();
  }
}

export function GpuTimeFoot(props: {
  times: GpuTimes;
  trans: Words;
}): React.ReactElement {
  const { times, trans } = props;
  const [told, setTold] = useState(times.told);
  useEffect(() => {
    const take = () => setTold(times.told);
    times.changed.connect(take);
    return () => void times.changed.disconnect(take);
  }, [times]);
  const lines = told ? gpuTimeLines(told, trans) : [];
  return (
    <div className="shopfloor-Jobs-foot" data-testid="shopfloor-gpu-time">
      {lines.map(line => (
        <div key={line}>{line}</div>
      ))}
    </div>
  );
}
