/* Home as it is now: its parts are put in place again when the person's jobs have changed, which costs the hub next to
   nothing to say, or while a server starts or stops. enliven is shopfloor.js's, all words are the templates'. */
"use strict";

const LOOK_MS = 4000;

/** The parts of a page that may change, by name. */
const partsOf = (root) =>
  new Map([...root.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));

/** Keeps the parts as the hub sent them, for scripts change what is shown; returns how to look once more. */
function followHome(main) {
  let { etag } = main.dataset;
  let unsettled = "unsettled" in main.dataset;
  const sent = new Map([...partsOf(main)].map(([name, part]) => [name, part.innerHTML]));

  const replace = (part, html) => {
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.innerHTML = html;
    enliven(part);
    if (focused) {
      document.getElementById(focused)?.focus();
    }
  };

  const renew = async () => {
    const answer = await fetch(window.location.href, { cache: "no-store" });
    if (answer.redirected) {
      window.location.reload(); // to sign in, say
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("main[data-jobs]");
    if (!answer.ok || !now) {
      return;
    }
    ({ etag } = now.dataset);
    unsettled = "unsettled" in now.dataset;
    const parts = partsOf(main);
    for (const [name, { innerHTML }] of partsOf(now)) {
      if (innerHTML !== sent.get(name)) {
        sent.set(name, innerHTML);
        replace(parts.get(name), innerHTML);
      }
    }
  };

  /** Whether to look again. */
  return async () => {
    const answer = await fetch(main.dataset.jobs, {
      headers: { "X-XSRFToken": window.jhdata.xsrf_token, "If-None-Match": etag },
    });
    if (answer.status === 403) {
      return false;
    }
    if (unsettled || answer.ok) {
      await renew();
    }
    return true;
  };
}

// Before other scripts have changed anything.
const look = followHome(document.querySelector("main[data-jobs]"));
const lookOn = async () => {
  let goesOn = true;
  if (!document.hidden) {
    // A hub that is away is asked again.
    goesOn = await look().catch(() => true);
  }
  if (goesOn) {
    setTimeout(lookOn, LOOK_MS);
  }
};
setTimeout(lookOn, LOOK_MS);
