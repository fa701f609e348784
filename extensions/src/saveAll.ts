/** Saves every open document that has changes, and says which could not be saved. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { DocumentRegistry } from '@jupyterlab/docregistry';

/** The part of a document's context that saving needs. */
export type Doc = Pick<DocumentRegistry.Context, 'path' | 'save'> & {
  model: Pick<DocumentRegistry.IModel, 'dirty' | 'readOnly'>;
};

/** The paths that were saved, and those that were not, with the reason; null: it is read-only. */
export interface Saved {
  saved: string[];
  failed: { path: string; why: string | null }[];
}

/** Each document that is open in `shell`, once, however many views it has. */
export function openDocuments(
  shell: JupyterFrontEnd.IShell,
  manager: IDocumentManager
): Doc[] {
  const found = new Set<Doc>();
  for (const widget of shell.widgets('main')) {
    const context = manager.contextForWidget(widget);
    if (context) {
      found.add(context);
    }
  }
  return [...found];
}

/** Saves what has changes; one that fails does not keep the others from it. */
export async function saveAll(documents: Doc[]): Promise<Saved> {
  const dirty = documents.filter(({ model }) => model.dirty);
  const result: Saved = { saved: [], failed: [] };
  await Promise.all(
    dirty.map(async ({ path, model, save }, at) => {
      if (model.readOnly) {
        result.failed.push({ path, why: null });
        return;
      }
      try {
        await save.call(dirty[at]);
        result.saved.push(path);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        result.failed.push({ path, why });
      }
    })
  );
  return result;
}
