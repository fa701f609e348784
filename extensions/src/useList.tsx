/** What a job uses, each resource as a bar and in words: in the status bar's popup, and in the rows of the panel. */

import React from 'react';

import type { Session, Use } from './contract.ts';
import {
  cpuLine,
  gpuLine,
  homeIsFull,
  homeLine,
  memoryIsHigh,
  memoryLine
} from './sessionWords.ts';
import type { Words } from './words.ts';

export function UseList(props: {
  use: Use;
  /** What is ended when the memory is not enough. */
  memoryEnds: Session['memory_ends'];
  trans: Words;
}): React.ReactElement {
  const { use, memoryEnds, trans } = props;
  return (
    <dl className="shopfloor-Uses">
      <Row
        name={trans.__('CPU')}
        share={(use.cpu ?? 0) / use.cpu_limit}
        text={cpuLine(use, trans)}
      />
      <Row
        name={trans.__('Memory')}
        share={use.memory / use.memory_limit}
        text={memoryLine(use, memoryEnds, trans)}
        high={memoryIsHigh(use)}
      />
      {use.gpus.map((gpu, at) => (
        <Row
          key={at}
          name={gpu.name}
          share={gpu.busy ?? gpu.memory / gpu.memory_limit}
          text={gpuLine(gpu, trans)}
        />
      ))}
      {use.home_free !== null && use.home_size !== null && (
        <Row
          name={trans.__('Home')}
          share={1 - use.home_free / use.home_size}
          text={homeLine(use, trans)}
          high={homeIsFull(use)}
        />
      )}
    </dl>
  );
}

function Row(props: {
  name: string;
  share: number;
  text: string;
  high?: boolean;
}): React.ReactElement {
  const width = `${Math.round(100 * Math.min(1, Math.max(0, props.share)))}%`;
  return (
    <div className="shopfloor-Use" data-level={props.high ? 'high' : 'calm'}>
      <dt>{props.name}</dt>
      <dd>
        <div
          className="shopfloor-Bar"
          data-level={props.high ? 'high' : 'calm'}
          aria-hidden="true"
        >
          <div style={{ width }} />
        </div>
        <span>{props.text}</span>
      </dd>
    </div>
  );
}
