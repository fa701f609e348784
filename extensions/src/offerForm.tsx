/** What the forms of a cluster (startForm.tsx) and of a kernel (kernelForm.tsx) share: values, problems, one's own presets. */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { Signal } from '@lumino/signaling';
import React from 'react';

import type { Api } from './api.ts';
import type { FormParts, Offer } from './contract.ts';
import type { Problems } from './fieldValues.ts';
import { CUSTOM, choosePreset, type Picked, requestFrom } from './form.ts';
import { type FormProps, FormView, PRESET_NAME } from './formView.tsx';
import { FocusWhenDrawn, NextFocus } from './nextFocus.ts';
import { ownName, withOwnPresets } from './outlook.ts';
import { Refusal } from './refusal.ts';
import type { Words } from './words.ts';

/** The part of a form that is another one in each. */
export type FormRest<T extends Picked> = Pick<
  FormProps<T>,
  | 'rooms'
  | 'legend'
  | 'head'
  | 'first'
  | 'more'
  | 'children'
  | 'placed'
  | 'foot'
>;

export abstract class OfferForm<T extends Picked> extends ReactWidget {
  protected readonly api: Api;
  protected readonly trans: Words;
  protected parts: FormParts;
  protected inputs: T;
  protected problems: Problems = {};
  private _isBusy = false;
  private _presetName = '';
  private _redraw = new Signal<this, void>(this);
  private _nextFocus = new NextFocus(this.node);

  constructor(api: Api, parts: FormParts, trans: Words, inputs: T) {
    super();
    this.addClass('shopfloor-StartForm');
    this.api = api;
    this.parts = parts;
    this.trans = trans;
    this.inputs = inputs;
  }

  /** Puts a refusal of the server's beside the field that it names. */
  refuse(message: string, field: string | null): void {
    this.problems = this.place(message, field);
    this.reveal();
  }

  /** Whether Enter means something else here than to hand the form in, which it is elsewhere in a dialog. */
  takesEnter(target: EventTarget | null): boolean {
    if (target instanceof HTMLElement && target.id === PRESET_NAME) {
      void this._save();
      return true;
    }
    return false;
  }

  setBusy(busy: boolean): void {
    this._isBusy = busy;
    this.redraw();
  }

  protected override render(): React.ReactElement {
    return <UseSignal signal={this._redraw}>{() => this._draw()}</UseSignal>;
  }

  /** What this form has beside the cards, the fields and the presets. */
  protected abstract rest(): FormRest<T>;

  /** Asks for what is told of these inputs; of inputs that cannot be started nothing is. */
  protected abstract ask(): void;

  /** Where a refusal belongs. */
  protected abstract place(message: string, field: string | null): Problems;

  protected get offer(): Offer {
    return withOwnPresets(this.parts);
  }

  protected redraw(): void {
    this._redraw.emit();
  }

  /** Takes what a person changed, and forgets what was wrong with that. */
  protected change(inputs: T, touched: string): void {
    this.inputs = inputs;
    this.ask();
    this._forget(touched);
  }

  /** Draws, and takes the focus to the first thing to mend. */
  protected reveal(): void {
    if (Object.keys(this.problems).length) {
      this._nextFocus.want('[aria-invalid="true"]');
    }
    this.redraw();
  }

  private _draw(): React.ReactElement {
    const { children, ...rest } = this.rest();
    return (
      <FormView
        {...rest}
        offer={this.offer}
        inputs={this.inputs}
        problems={this.problems}
        busy={this._isBusy}
        trans={this.trans}
        presetName={this._presetName}
        onPresetName={name => {
          this._presetName = name;
          this._forget('presetName');
        }}
        onSave={() => void this._save()}
        onDelete={name => void this._delete(name)}
        onChange={(inputs, touched) => this.change(inputs, touched)}
      >
        {children}
        <FocusWhenDrawn next={this._nextFocus} />
      </FormView>
    );
  }

  private _forget(touched: string): void {
    this.problems = Object.fromEntries(
      Object.entries(this.problems).filter(([name]) => name !== touched)
    );
    this.redraw();
  }

  private async _save(): Promise<void> {
    const result = requestFrom(this.offer, this.inputs, this.trans);
    const name = this._presetName.trim();
    if ('problems' in result || !name) {
      this.problems = 'problems' in result ? result.problems : {};
      this.reveal();
      return;
    }
    await this._orTell(async () => {
      const saved = await this.api.savePreset(name, result.request);
      const others = this.parts.presets.filter(one => one.name !== saved.name);
      this.parts = { ...this.parts, presets: [...others, saved] };
      this._presetName = '';
      this.inputs = choosePreset(this.offer, this.inputs, ownName(saved.name));
    });
  }

  private async _delete(name: string): Promise<void> {
    await this._orTell(async () => {
      await this.api.deletePreset(name);
      const presets = this.parts.presets.filter(one => one.name !== name);
      if (this.inputs.preset === ownName(name)) {
        this.inputs = { ...this.inputs, preset: CUSTOM };
      }
      this.parts = { ...this.parts, presets };
    });
  }

  private async _orTell(change: () => Promise<void>): Promise<void> {
    try {
      await change();
      // What had the focus is gone, and without it keys no longer reach the dialog.
      this._nextFocus.want('input:checked');
      this.ask();
      this._forget('presetName');
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this.problems = { ...this.problems, presetName: error.message };
      this.reveal();
    }
  }
}
