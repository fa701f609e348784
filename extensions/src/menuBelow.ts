/** A menu of commands below the button that asks for it, which has the focus again when it closes. */

import type { CommandRegistry } from '@lumino/commands';
import { Menu } from '@lumino/widgets';

/** Opens it, with the first item ready for a key. */
export function openMenuBelow(
  button: HTMLElement,
  commands: CommandRegistry,
  items: Menu.IItemOptions[]
): void {
  const menu = new Menu({ commands });
  for (const item of items) {
    menu.addItem(item);
  }
  menu.aboutToClose.connect(() => {
    button.focus();
    // What was chosen is carried out after the menu has closed.
    requestAnimationFrame(() => menu.dispose());
  });
  const { left, bottom } = button.getBoundingClientRect();
  menu.open(left, bottom);
  menu.activateNextItem();
}
