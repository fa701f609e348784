/** A dialog with a form of ours: it stays open until the server took what was asked, and keys do in it what they should. */

import { Dialog } from '@jupyterlab/apputils';
import type { Widget } from '@lumino/widgets';

/** What a form dialog needs beside Lab's own options. */
export interface FormDialogOptions {
  title: string;
  body: Dialog.IBodyWidget<unknown> & Widget;
  /** Cancel first, then what submits. */
  buttons: [Dialog.IButton, Dialog.IButton];
  focusNodeSelector: string;
  /** Hands the form in; whether the server took it. A refusal belongs beside the field that it names. */
  submit: () => Promise<boolean>;
  /** Whether Enter means something else at this place than to hand the form in. */
  takesEnter?: (target: EventTarget | null) => boolean;
}

const SUBMIT = 1;

export class FormDialog extends Dialog<unknown> {
  private _options: FormDialogOptions;
  private _isSubmitting = false;

  constructor(options: FormDialogOptions) {
    const { title, body, buttons, focusNodeSelector } = options;
    super({ title, body, buttons, focusNodeSelector, defaultButton: SUBMIT });
    this._options = options;
  }

  override handleEvent(event: Event): void {
    if (event instanceof KeyboardEvent && event.type === 'keydown') {
      if (event.key === 'Tab' && !event.shiftKey && this._isLast(event)) {
        // Lab closes its circle of Tab before React has drawn the form: the first input is put in here.
        event.stopPropagation();
        event.preventDefault();
        this._options.body.node
          .querySelector<HTMLElement>('input, select')
          ?.focus();
        return;
      }
      if (event.key === 'Enter' && this._takesEnter(event.target)) {
        return;
      }
    }
    super.handleEvent(event);
  }

  override resolve(index = SUBMIT): void {
    if (this._isSubmitting) {
      // It is on its way, and whatever comes of it is shown: nothing is taken back by closing.
      return;
    }
    if (index === SUBMIT) {
      void this._submit();
    } else {
      super.resolve(index);
    }
  }

  override reject(): void {
    if (!this._isSubmitting) {
      super.reject();
    }
  }

  private async _submit(): Promise<void> {
    this._setSubmitting(true);
    try {
      if (await this._options.submit()) {
        super.resolve(SUBMIT);
      }
    } finally {
      this._setSubmitting(false);
    }
  }

  private _setSubmitting(isSubmitting: boolean): void {
    this._isSubmitting = isSubmitting;
    // Not disabled, which would take the focus from the one that was pressed.
    this.node
      .querySelectorAll('.jp-Dialog-footer button')
      .forEach(button =>
        button.setAttribute('aria-disabled', String(isSubmitting))
      );
  }

  private _isLast(event: KeyboardEvent): boolean {
    return (
      event.target ===
      this.node.querySelector('.jp-Dialog-footer .jp-mod-accept')
    );
  }

  /** Lab takes every Enter for the default button, also that on a button within the form. */
  private _takesEnter(target: EventTarget | null): boolean {
    const { body, takesEnter } = this._options;
    return (
      (takesEnter?.(target) ?? false) ||
      (target instanceof Element &&
        body.node.contains(target) &&
        target.closest('button, summary') !== null)
    );
  }
}
