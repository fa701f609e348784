/** Takes the focus to what React is about to draw: later than the signal to draw, and on a busy machine later than a frame. */

import { useLayoutEffect } from 'react';

/** What shall have the focus when it is drawn next, and as soon as it is enabled: the first that matches, within a node. */
export class NextFocus {
  private _node: HTMLElement;
  private _selector: string | null = null;

  constructor(node: HTMLElement) {
    this._node = node;
  }

  want(selector: string): void {
    this._selector = selector;
  }

  /** Called whenever something was drawn. */
  settle(): void {
    if (this._selector === null) {
      return;
    }
    const found = this._node.querySelector<HTMLElement>(this._selector);
    if (found?.matches(':disabled')) {
      return; // until it no longer is
    }
    this._selector = null;
    found?.focus();
  }
}

/** Stands last in what is drawn, so that all of it is there. */
export function FocusWhenDrawn({ next }: { next: NextFocus }): null {
  useLayoutEffect(() => next.settle());
  return null;
}
