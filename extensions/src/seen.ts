/** Whether anybody can see a widget: it is shown in Lab, and Lab's page is not behind another one. */

import { DisposableDelegate, type IDisposable } from '@lumino/disposable';
import { type Message, MessageLoop } from '@lumino/messaging';
import type { Widget } from '@lumino/widgets';

const MOVES = ['after-attach', 'after-show', 'after-hide', 'after-detach'];

/** Calls `changed` whenever that may be another, also with what it was before; until it is disposed of. */
export function watchSeen(
  widget: Widget,
  changed: (isSeen: boolean) => void
): IDisposable {
  const look = () => changed(widget.isVisible && !document.hidden);
  const hook = (_: unknown, message: Message) => {
    if (MOVES.includes(message.type)) {
      // The widget's own flags are set after hooks have run.
      queueMicrotask(() => {
        if (!watching.isDisposed) {
          look();
        }
      });
    }
    return true;
  };
  MessageLoop.installMessageHook(widget, hook);
  document.addEventListener('visibilitychange', look);
  const watching = new DisposableDelegate(() => {
    MessageLoop.removeMessageHook(widget, hook);
    document.removeEventListener('visibilitychange', look);
  });
  return watching;
}
