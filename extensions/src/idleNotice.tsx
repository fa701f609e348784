/** Says in a row that what it is of is about to end for want of work, and keeps it with one click. */

import React from 'react';

import type { Words } from './words.ts';

interface IdleNoticeProps {
  /** Null: it is not about to end. */
  line: string | null;
  /** The button's words for who does not see the row. */
  label: string;
  isGoing: boolean;
  keep: () => void;
  trans: Words;
}

export function IdleNotice(props: IdleNoticeProps): React.ReactElement {
  const { line, label, isGoing, keep, trans } = props;
  return (
    <div role="status" className="shopfloor-Idle">
      {line}
      {line !== null && (
        <>
          {' '}
          <button
            type="button"
            className="shopfloor-LinkButton"
            aria-label={label}
            disabled={isGoing}
            onClick={keep}
          >
            {trans.__('Keep it')}
          </button>
        </>
      )}
    </div>
  );
}
