/** The form in the start dialog of a cluster: what it has beside the offer; `form.ts` and `outlook.ts` are its logic. */

import React from 'react';

import type { Api } from './api.ts';
import type {
  FormParts,
  Offer,
  Outlook,
  Request,
  Script,
  Software,
  Start
} from './contract.ts';
import type { Problems } from './fieldValues.ts';
import {
  CUSTOM,
  type Inputs,
  inputsFrom,
  mostWorkers,
  problemsFrom,
  startFrom
} from './form.ts';
import { SelectInput, TextInput } from './inputs.tsx';
import { Latest } from './latest.ts';
import { type FormRest, OfferForm } from './offerForm.tsx';
import {
  kernelChoices,
  kernelFor,
  outlookLines,
  withOwnPresets
} from './outlook.ts';
import { OutlookView, ScriptView, SoftwareView } from './outlookView.tsx';
import type { Words } from './words.ts';

/** What the form begins with: an earlier cluster's values, and the kernel of the notebook at hand. */
export interface Beginning {
  earlier?: Start;
  notebook?: string;
}

/** The form's values and problems, and what is asked about them meanwhile. */
export class StartForm extends OfferForm<Inputs> {
  private _notebook: string | undefined;
  private _scriptOpen = false;
  private _software: Latest<string, Software>;
  private _outlook: Latest<{ workers: number; request: Request }, Outlook>;
  private _script: Latest<Start, Script>;

  constructor(
    api: Api,
    parts: FormParts,
    trans: Words,
    { earlier, notebook }: Beginning
  ) {
    super(api, parts, trans, {
      ...inputsFrom(withOwnPresets(parts), earlier),
      kernel: kernelFor(parts.kernels, notebook, earlier?.kernel)
    });
    this._notebook = parts.kernels.some(one => one.name === notebook)
      ? notebook
      : undefined;
    const redraw = () => this.redraw();
    this._software = new Latest(
      kernel => api.software(kernel, this._notebook),
      redraw,
      0
    );
    this._outlook = new Latest(
      ({ workers, request }) => api.outlook(workers, request),
      redraw
    );
    this._script = new Latest(start => api.script(start), redraw);
    this.ask();
  }

  override dispose(): void {
    for (const one of [this._software, this._outlook, this._script]) {
      one.dispose();
    }
    super.dispose();
  }

  /** What to start, or null after drawing what there is to mend. */
  read(): Start | null {
    const result = startFrom(this.offer, this.inputs, this.trans);
    this.problems = 'problems' in result ? result.problems : {};
    this.reveal();
    return 'start' in result ? this._forNotebook(result.start) : null;
  }

  protected rest(): FormRest<Inputs> {
    const { trans, inputs, problems } = this;
    const result = startFrom(this.offer, inputs, trans);
    const workers = 'start' in result ? mostWorkers(result.start) : NaN;
    const { told } = this._outlook;
    return {
      rooms: told && 'answer' in told ? told.answer.rooms : {},
      legend: trans.__('Each worker gets'),
      placed: [
        ...['name', 'workers', 'kernel'],
        ...(inputs.preset === CUSTOM ? ['lasts'] : [])
      ],
      foot: trans.__('Closing the tab does not stop a cluster.'),
      head: (
        <div className="shopfloor-StartForm-pair">
          <TextInput
            id="name"
            label={trans.__('Name (optional)')}
            value={inputs.name}
            problem={problems.name}
            onChange={name => this.change({ ...inputs, name }, 'name')}
          />
          <TextInput
            id="workers"
            label={workersLabel(this.offer, trans)}
            value={inputs.workers}
            problem={problems.workers}
            help={trans.__('A range such as 0–8 follows the work.')}
            onChange={workers => this.change({ ...inputs, workers }, 'workers')}
          />
        </div>
      ),
      more: (
        <TextInput
          id="lasts"
          label={trans.__('Cluster lasts (optional)')}
          help={trans.__(
            'Longer than its workers, whose places are then taken by new ones; else as long as each of them.'
          )}
          value={inputs.lasts}
          problem={problems.lasts}
          onChange={lasts => this.change({ ...inputs, lasts }, 'lasts')}
        />
      ),
      children: (
        <>
          <SelectInput
            id="kernel"
            label={trans.__('Software')}
            term={trans.__('kernel')}
            value={inputs.kernel}
            problem={problems.kernel}
            choices={kernelChoices(this.parts.kernels, trans)}
            onChange={kernel => this.change({ ...inputs, kernel }, 'kernel')}
          />
          <SoftwareView told={this._software.told} trans={trans} />
          <OutlookView
            told={told}
            lines={outlook =>
              outlookLines(outlook, workers, Date.now() / 1000, trans)
            }
            trans={trans}
          />
          <ScriptView
            told={this._script.told}
            trans={trans}
            onToggle={open => {
              this._scriptOpen = open;
              this.ask();
            }}
          />
        </>
      )
    };
  }

  protected place(message: string, field: string | null): Problems {
    return problemsFrom(message, field, this.offer, this.inputs);
  }

  protected ask(): void {
    const result = startFrom(this.offer, this.inputs, this.trans);
    const start = 'start' in result ? this._forNotebook(result.start) : null;
    this._software.want(this.inputs.kernel || null);
    this._outlook.want(
      start && { workers: mostWorkers(start), request: start.request }
    );
    this._script.want(this._scriptOpen ? start : null);
  }

  private _forNotebook(start: Start): Start {
    const notebook = this._notebook;
    return notebook && notebook !== start.kernel
      ? { ...start, notebook }
      : start;
  }
}

function workersLabel(offer: Offer, trans: Words): string {
  const max = offer.limits.workers?.max;
  return typeof max === 'number'
    ? trans.__('Workers (1–%1)', max)
    : trans.__('Workers');
}
