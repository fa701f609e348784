/** The plugin for the server's own job: hears its events, counts down, warns, saves, and keeps it when asked to. */

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import type { Event } from '@jupyterlab/services';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { Api } from './api.ts';
import { CATEGORY, NO_ARGUMENTS } from './commands.ts';
import type { Session as Seen } from './contract.ts';
import { Refusal } from './refusal.ts';
import { openDocuments, saveAll } from './saveAll.ts';
import { dueWarning, Session } from './session.ts';
import { type Banner, SessionBanner } from './sessionBanner.tsx';
import { endsAt, SessionItem } from './sessionView.tsx';
import { endWarning, savedWords } from './sessionWords.ts';
import { ISession } from './tokens.ts';

const EVENT = 'urn:shopfloor:session';
const TICK = 1_000; // milliseconds
const SAID = 'shopfloor:end-warning';

const CommandIDs = {
  show: 'shopfloor:show-session',
  keep: 'shopfloor:keep-server',
  saveAll: 'shopfloor:save-all'
};

export const session: JupyterFrontEndPlugin<Session> = {
  id: 'shopfloor-lab:session',
  description:
    'Time left, use and the end of the job that this server runs in.',
  autoStart: true,
  provides: ISession,
  requires: [IDocumentManager],
  optional: [IStatusBar, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    manager: IDocumentManager,
    statusBar: IStatusBar | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('shopfloor_lab');
    const { commands, serviceManager, shell } = app;
    const job = new Session(new Api(serviceManager.serverSettings, trans));

    const save = async (quiet = false) => {
      const saved = await saveAll(openDocuments(shell, manager));
      const words = savedWords(saved, trans);
      if (saved.failed.length) {
        Notification.error(words, { autoClose: false });
      } else if (saved.saved.length || !quiet) {
        Notification.success(words, { autoClose: 5_000 });
      }
    };
    const keep = async () => {
      try {
        await job.keep();
      } catch (error) {
        if (!(error instanceof Refusal)) {
          throw error;
        }
        Notification.error(error.message);
      }
    };

    const item = new SessionItem({
      session: job,
      trans,
      saveAll: () => void save()
    });
    statusBar?.registerStatusItem('shopfloor-lab:session', {
      item,
      align: 'right',
      rank: 1_000,
      priority: 1,
      isActive: () => job.seen !== null,
      activeStateChanged: job.changed
    });

    const told: Banner = {
      session: job,
      trans,
      keep: () => void keep(),
      home: hubHome()
    };
    let banner: SessionBanner | null = null;
    const showBanner = () => {
      const wanted = SessionBanner.text(told) !== null;
      if (wanted && !banner) {
        banner = new SessionBanner(told);
        shell.add(banner, 'header');
      } else if (!wanted && banner) {
        banner.dispose();
        banner = null;
      }
    };

    let warning: string | null = null;
    const warn = (seen: Seen) => {
      const key = `${SAID}:${seen.job}`;
      const before = sessionStorage.getItem(key);
      const { due, said } = dueWarning(
        seen.time.warning,
        before ? Number(before) : null
      );
      const after = said === null ? '' : String(said);
      if (after !== (before ?? '')) {
        sessionStorage.setItem(key, after);
      }
      if (due === null) {
        return;
      }
      if (warning) {
        Notification.dismiss(warning);
      }
      const message = endWarning(job.left, endsAt(job), trans);
      warning = Notification.warning(message, {
        autoClose: false,
        actions: [
          {
            label: trans.__('Save all'),
            caption: trans.__('Save every open document that has changes'),
            displayType: 'accent',
            callback: () => void save()
          }
        ]
      });
    };

    let wasLastMoment = false;
    job.changed.connect(() => {
      showBanner();
      if (job.seen) {
        warn(job.seen);
      }
      if (job.isLastMoment && !wasLastMoment) {
        void save(true);
      }
      wasLastMoment = job.isLastMoment;
    });

    serviceManager.events.stream.connect((_, event: Event.Emission) => {
      if (event.schema_id === EVENT) {
        job.take(event.session as unknown as Seen);
      }
    });
    const touch = (event: globalThis.Event) => {
      if (!(
        event.target instanceof Node && banner?.node.contains(event.target)
      )) {
        void job.touch();
      }
    };
    for (const kind of ['keydown', 'pointerdown', 'wheel']) {
      document.addEventListener(kind, touch, { capture: true, passive: true });
    }
    void app.restored.then(() => {
      void job.refresh();
      setInterval(() => job.tick(), TICK);
    });

    commands.addCommand(CommandIDs.show, {
      label: trans.__('Time Left and Use'),
      describedBy: { args: NO_ARGUMENTS },
      isEnabled: () => job.seen !== null && statusBar !== null,
      execute: () => item.toggle()
    });
    commands.addCommand(CommandIDs.keep, {
      label: trans.__('Keep This Server Running'),
      caption: trans.__('Begin the time anew after which an idle server ends'),
      describedBy: { args: NO_ARGUMENTS },
      isEnabled: () => job.seen !== null && job.seen.idle.state !== 'off',
      execute: keep
    });
    commands.addCommand(CommandIDs.saveAll, {
      label: trans.__('Save All and Say What Was Saved'),
      describedBy: { args: NO_ARGUMENTS },
      execute: () => save()
    });
    for (const command of Object.values(CommandIDs)) {
      palette?.addItem({ command, category: CATEGORY });
    }
    return job;
  }
};

/** The hub's page on which a server is started; null where there is no hub. */
function hubHome(): string | null {
  const prefix = PageConfig.getOption('hubPrefix');
  return prefix
    ? URLExt.join(PageConfig.getOption('hubHost'), prefix, 'home')
    : null;
}
