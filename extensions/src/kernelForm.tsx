/** The form that asks where a notebook's kernel shall run: environment and hardware; `form.ts` and `outlook.ts` are its logic. */

import React from 'react';

import type { Api } from './api.ts';
import type { FormParts, Outlook } from './contract.ts';
import type { Problems } from './fieldValues.ts';
import {
  choosePreset,
  chosenFrom,
  HERE,
  pickedFrom,
  type Picked,
  problemsAt
} from './form.ts';
import { Card, SelectInput } from './inputs.tsx';
import { visibleOf } from './kernelAgain.ts';
import type { Chosen } from './kernelContract.ts';
import { Latest } from './latest.ts';
import { type FormRest, OfferForm } from './offerForm.tsx';
import {
  kernelChoices,
  kernelFor,
  kernelOutlookLines,
  withOwnPresets
} from './outlook.ts';
import { OutlookView } from './outlookView.tsx';
import type { Words } from './words.ts';

/** Which kernel a notebook shall have: the kernelspec's name, and what its job is asked with; null: it runs here. */
export interface Asked {
  name: string;
  chosen: Chosen | null;
}

/** What the form begins with. */
export interface KernelBeginning {
  /** A kernelspec's name. */
  name?: string;
  chosen?: Chosen | null;
  /** What the notebook says that it ran on, for where nothing is chosen. */
  remembered?: Chosen | null;
  /** Why what was chosen before cannot be had now, and the field that this is about. */
  refused?: { message: string; field: string | null };
  /** What is lost by another kernel, or null. */
  loss?: string | null;
}

export class KernelForm extends OfferForm<Picked> {
  private _loss: string | null;
  private _outlook: Latest<Chosen, Outlook>;

  constructor(
    api: Api,
    parts: FormParts,
    trans: Words,
    { name, chosen, remembered, refused, loss }: KernelBeginning
  ) {
    const before = remembered ? visibleOf(parts.offer, remembered) : undefined;
    super(
      api,
      parts,
      trans,
      pickedFrom(
        withOwnPresets(parts),
        kernelFor(parts.kernels, undefined, name),
        chosen === undefined ? before : chosen
      )
    );
    this._loss = loss ?? null;
    this._outlook = new Latest(
      request => api.kernelOutlook(request),
      () => this.redraw()
    );
    this.ask();
    if (refused) {
      this.refuse(refused.message, refused.field);
    }
  }

  override dispose(): void {
    this._outlook.dispose();
    super.dispose();
  }

  /** What was asked for, or null after drawing what there is to mend. */
  read(): Asked | null {
    const result = chosenFrom(this.offer, this.inputs, this.trans);
    this.problems = 'problems' in result ? result.problems : {};
    this.reveal();
    return 'chosen' in result
      ? { name: this.inputs.kernel, chosen: result.chosen }
      : null;
  }

  protected rest(): FormRest<Picked> {
    const { trans, inputs } = this;
    const { told } = this._outlook;
    const foot =
      inputs.preset === HERE
        ? trans.__('It shares the CPUs and the memory of JupyterLab.')
        : trans.__(
            'Closing the tab does not stop it, nor does the end of JupyterLab.'
          );
    return {
      rooms: told && 'answer' in told ? told.answer.rooms : {},
      legend: trans.__('Runs on'),
      placed: ['kernel'],
      foot: [this._loss, foot].filter(Boolean).join(' '),
      head: (
        <SelectInput
          id="kernel"
          label={trans.__('Environment')}
          term={trans.__('kernel')}
          value={inputs.kernel}
          problem={this.problems.kernel}
          choices={kernelChoices(this.parts.kernels, trans)}
          onChange={kernel => this.change({ ...inputs, kernel }, 'kernel')}
        />
      ),
      first: (
        <Card
          name={HERE}
          label={trans.__('Here')}
          text={trans.__('In JupyterLab’s own job')}
          disabled={null}
          checked={inputs.preset === HERE}
          onChoose={() =>
            this.change(choosePreset(this.offer, inputs, HERE), 'preset')
          }
        />
      ),
      children: (
        <OutlookView
          told={told}
          lines={outlook =>
            kernelOutlookLines(outlook, Date.now() / 1000, trans)
          }
          trans={trans}
        />
      )
    };
  }

  protected place(message: string, field: string | null): Problems {
    // What the route calls the name is the environment's here.
    const named = field === 'name' ? 'kernel' : field;
    return problemsAt(message, named, this.offer, this.inputs, ['kernel']);
  }

  protected ask(): void {
    const result = chosenFrom(this.offer, this.inputs, this.trans);
    this._outlook.want('chosen' in result ? result.chosen : null);
  }
}
