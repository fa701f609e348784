/** The page that explains what goes wrong on clusters, as a pane of Lab: the server's text, drawn as Lab draws Markdown. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import type { Api } from './api.ts';
import type { Words } from './words.ts';

const ID = 'shopfloor-troubles-page';
const MARKDOWN = 'text/markdown';

/** Opens the page, or comes back to it, at the section of this kind. Throws `Refusal`. */
export async function openTroublesPage(
  app: JupyterFrontEnd,
  api: Api,
  rendermime: IRenderMimeRegistry,
  trans: Words,
  kind: string
): Promise<void> {
  const { page, kinds } = await api.troublesPage();
  const find = () => [...app.shell.widgets('main')].find(({ id }) => id === ID);
  const drawn = find() ?? (await newPane(page, rendermime, trans));
  // Another click may have been faster.
  const pane = find() ?? drawn;
  if (pane !== drawn) {
    drawn.dispose();
  } else if (!pane.parent) {
    app.shell.add(pane, 'main', { mode: 'split-right' });
  }
  app.shell.activateById(ID);
  pane.node
    .querySelectorAll('h2')
    .item(kinds.indexOf(kind))
    ?.scrollIntoView({ block: 'start' });
}

async function newPane(
  page: string,
  rendermime: IRenderMimeRegistry,
  trans: Words
): Promise<MainAreaWidget> {
  const content = rendermime.createRenderer(MARKDOWN);
  await content.renderModel(
    rendermime.createModel({ data: { [MARKDOWN]: page } })
  );
  content.addClass('shopfloor-Page');
  const pane = new MainAreaWidget({ content });
  pane.id = ID;
  pane.title.label = trans.__('When a Dask cluster has trouble');
  pane.title.closable = true;
  return pane;
}
