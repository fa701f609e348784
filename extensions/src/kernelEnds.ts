/** Tells of kernels that end, and saves their notebooks before: notifications, and a word in the cells that were running. */

import { Notification } from '@jupyterlab/apputils';

import type { JobKernels } from './jobKernels.ts';
import type { JobKernel } from './kernelContract.ts';
import { KernelNews, type News } from './kernelNews.ts';
import { KernelWarnings } from './kernelWarnings.ts';
import {
  causeSentence,
  diedSentence,
  endedSentence,
  endingLine,
  idleWarned,
  kernelName,
  timeSentence
} from './kernelWords.ts';
import type { NotebookKernels } from './notebookKernels.ts';
import { showClock } from './quantity.ts';
import type { Replays } from './replays.ts';
import { saveAll } from './saveAll.ts';
import { savedWords } from './sessionWords.ts';
import type { Words } from './words.ts';

export interface EndsParts {
  jobs: JobKernels;
  notebooks: NotebookKernels;
  replays: Replays;
  keep: (kernel: JobKernel) => void;
  trans: Words;
}

/** Listens as long as Lab lives. */
export function tellOfEnds(parts: EndsParts): void {
  const { jobs, notebooks, replays, keep, trans } = parts;
  const warnings = new KernelWarnings({
    show: (text, kept) =>
      Notification.warning(text, {
        autoClose: false,
        actions: kept && [
          {
            label: trans.__('Keep it'),
            caption: trans.__('Keep the kernel of %1', kernelName(kept)),
            displayType: 'accent',
            callback: () => keep(kept)
          }
        ]
      }),
    change: (id, message) => Notification.update({ id, message }),
    dismiss: id => Notification.dismiss(id)
  });

  /** Saves its notebooks; a sentence on that, or none where there was nothing to save. */
  const save = async ({ id }: JobKernel) => {
    const documents = notebooks.panelsOf(id).map(panel => panel.context);
    const saved = await saveAll([...new Set(documents)]);
    return saved.saved.length || saved.failed.length
      ? savedWords(saved, trans)
      : '';
  };

  const warnAndSave = (kernel: JobKernel, text: string) =>
    warnings.end(kernel, text, () => save(kernel));

  const ended = async (kernel: JobKernel) => {
    await replays.end(kernel, causeSentence(kernel, trans));
    if (!jobs.wasEndedHere(kernel.id) && !notebooks.wasLeft(kernel.id)) {
      Notification.error(endedSentence(kernel, trans), { autoClose: false });
    }
  };

  const tell = async ({ what, kernel }: News) => {
    const at = (time: number | null) => showClock(time ?? jobs.now, jobs.now);
    switch (what) {
      case 'ended':
        return ended(kernel);
      case 'died': {
        const sentence = diedSentence(kernel, trans);
        replays.died(kernel, sentence);
        Notification.error(sentence, { autoClose: false });
        return;
      }
      case 'ending':
        return warnAndSave(
          kernel,
          trans.__('%1: %2.', kernelName(kernel), endingLine(kernel, trans))
        );
      case 'time':
        return warnAndSave(
          kernel,
          timeSentence(kernel, at(kernel.ends), trans)
        );
      case 'idle':
        return warnings.idle(
          kernel,
          idleWarned(kernel, at(kernel.idle?.ends ?? null), trans)
        );
    }
  };

  const kernelNews = new KernelNews();
  let before: readonly JobKernel[] | null = null;
  jobs.changed.connect(() => {
    const { list } = jobs;
    if (!list || list === before) {
      return;
    }
    const news = kernelNews.of(list, jobs.now);
    before = list;
    warnings.see(list);
    for (const one of news) {
      tell(one).catch((error: unknown) =>
        console.error('The end of a kernel was not told.', error)
      );
    }
  });
}
