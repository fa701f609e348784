/** The server's own job as a row of the panel: where it runs, its time left, and what it uses. */

import React, { useState } from 'react';

import { RowHead } from './rowParts.tsx';
import type { Session } from './session.ts';
import { endsAt } from './sessionView.tsx';
import { idleRule, timeLeftWords } from './sessionWords.ts';
import { UseList } from './useList.tsx';
import type { Words } from './words.ts';

const DETAILS = 'shopfloor-details-server';

/** Nothing where the server is no job. */
export function ServerRow(props: {
  session: Session;
  trans: Words;
}): React.ReactElement | null {
  const { session, trans } = props;
  const [open, setOpen] = useState(false);
  const { seen } = session;
  if (!seen) {
    return null;
  }
  const ended = session.hasEnded;
  return (
    <li
      className={`shopfloor-Row${session.isStale ? ' shopfloor-mod-stale' : ''}`}
      data-testid="shopfloor-server"
      data-state={ended ? 'ended' : 'running'}
    >
      <RowHead
        // A name, and so the same in every language.
        name="JupyterLab"
        state={ended ? 'ended' : 'running'}
        open={open}
        details={DETAILS}
        onToggle={() => setOpen(!open)}
      >
        {!ended && (
          <span className="shopfloor-Grey">
            {timeLeftWords(session.left, trans)}
          </span>
        )}
      </RowHead>
      <div className="shopfloor-Row-line">
        {ended
          ? trans.__('Ended')
          : session.isStale
            ? trans.__('Your server does not answer.')
            : trans.__('Running on %1', seen.node)}
      </div>
      {open && (
        <div id={DETAILS} className="shopfloor-Row-body">
          {seen.use && !ended && (
            <UseList
              use={seen.use}
              memoryEnds={seen.memory_ends}
              trans={trans}
            />
          )}
          <div className="shopfloor-Grey">
            {trans.__('Closing the tab does not stop it.')}{' '}
            {trans.__('It ends at %1', endsAt(session))}.{' '}
            {idleRule(seen, trans)}
          </div>
        </div>
      )}
    </li>
  );
}
