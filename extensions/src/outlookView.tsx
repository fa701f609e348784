/** What the forms tell beside their fields: versions, outlook, and the jobs that would be submitted. */

import React from 'react';

import type { Outlook, Script, Software } from './contract.ts';
import type { Told } from './latest.ts';
import { softwareLines } from './outlook.ts';
import type { Words } from './words.ts';

/** The versions that the workers would have; what the notebook could not use stands out. */
export function SoftwareView(props: {
  told: Told<Software>;
  trans: Words;
}): React.ReactElement {
  const { told, trans } = props;
  const answer = told && 'answer' in told ? told.answer : null;
  const problem = told && 'problem' in told ? told.problem : answer?.refusal;
  return (
    <div data-testid="shopfloor-software" className="shopfloor-Told">
      <div role="status" className="shopfloor-Grey">
        {answer && softwareLines(answer, trans).join(' ')}
        {told && 'asking' in told && trans.__('Looking at its versions…')}
      </div>
      <div role="alert" className="shopfloor-Problem">
        {problem}
      </div>
    </div>
  );
}

/** When it would start and what it costs; `lines` says so of an answer. */
export function OutlookView(props: {
  told: Told<Outlook>;
  lines: (outlook: Outlook) => string[];
  trans: Words;
}): React.ReactElement {
  const { told, lines, trans } = props;
  return (
    <div
      role="status"
      data-testid="shopfloor-outlook"
      className="shopfloor-Told"
    >
      {told && 'answer' in told
        ? lines(told.answer).join(' ')
        : told && 'problem' in told
          ? told.problem
          : told && trans.__('Asking when it would start…')}
    </div>
  );
}

/** The jobs as they would be submitted, folded; asked for when it is unfolded. */
export function ScriptView(props: {
  told: Told<Script>;
  trans: Words;
  onToggle: (open: boolean) => void;
}): React.ReactElement {
  const { told, trans, onToggle } = props;
  const answer = told && 'answer' in told ? told.answer : null;
  return (
    <details
      className="shopfloor-Script"
      data-testid="shopfloor-script"
      onToggle={event => onToggle(event.currentTarget.open)}
    >
      <summary>{trans.__('What is submitted')}</summary>
      <div role="status" className="shopfloor-Grey">
        {told === null && trans.__('There is something to mend above first.')}
        {told && 'asking' in told && trans.__('Looking…')}
        {told && 'problem' in told && told.problem}
        {answer &&
          trans.__(
            'The digits in names are new for each job. Variables go another way, and never onto a command line.'
          )}
      </div>
      {answer?.jobs.map(job => (
        <section key={job.what}>
          <h4>
            {job.what === 'worker'
              ? trans.__('Each worker')
              : trans.__('The cluster itself')}
          </h4>
          <pre tabIndex={0}>{job.submit}</pre>
          <div className="shopfloor-Grey">{trans.__('which runs')}</div>
          <pre tabIndex={0}>{job.command}</pre>
        </section>
      ))}
    </details>
  );
}
