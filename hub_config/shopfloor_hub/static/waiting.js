/* The waiting page: what the job does comes as events; lost connections are made again, and readiness is told. Words
   come from the template; showClocks is shopfloor.js's. */
"use strict";

const RETRY_MS = 2000;
const ELAPSED_MS = 5000;

/** Seconds as people say them: "12 min", "1 h 5 min". */
function spokenSpan(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const unit = (count, name) =>
    new Intl.NumberFormat(document.documentElement.lang, {
      style: "unit",
      unit: name,
      unitDisplay: "short",
    }).format(count);
  if (!minutes) {
    return unit(Math.max(0, Math.floor(seconds)), "second");
  }
  const parts = hours ? [unit(hours, "hour")] : [];
  if (minutes % 60) {
    parts.push(unit(minutes % 60, "minute"));
  }
  return parts.join(" ");
}

/** Put a time (epoch seconds) into the page's own words for it, or hide them where there is none. */
function showTime(element, epoch) {
  element.hidden = epoch === null || epoch === undefined;
  if (!element.hidden) {
    element.querySelector(":scope > time").dateTime = new Date(epoch * 1000).toISOString();
    showClocks(element);
  }
}

/** What an event says, on the page. */
function makeShow(page) {
  const find = (name) => page.querySelector(`[data-fact="${name}"]`);
  const text = (id, words) => {
    const element = page.querySelector(id);
    element.hidden = !words;
    element.textContent = words;
  };
  const stages = [...page.querySelectorAll("#stages li")];
  const log = page.querySelector("#waiting-log");
  const site = document.title.split(" · ").pop();
  let asked = null;

  const note = (line) => {
    if (line && log.lastElementChild?.textContent !== line) {
      const item = document.createElement("li");
      item.textContent = line;
      log.append(item);
    }
  };

  const reach = (name) => {
    const reached = stages.findIndex((stage) => stage.dataset.stage === name);
    stages.forEach((stage, place) => {
      stage.classList.toggle("sf-done", place < reached);
      stage.toggleAttribute("aria-current", place === reached);
      if (place === reached) {
        stage.setAttribute("aria-current", "step");
      }
    });
  };

  const elapse = () => {
    const elapsed = find("elapsed");
    elapsed.hidden = asked === null || Date.now() / 1000 - asked < 1;
    elapsed.querySelector("[data-value]").textContent = spokenSpan(Date.now() / 1000 - asked);
  };
  setInterval(elapse, ELAPSED_MS);

  return (event) => {
    const sentence = page.querySelector("#waiting-sentence");
    if (sentence.textContent !== event.message) {
      sentence.textContent = event.message;
    }
    reach(event.stage);
    const why = event.queues ? event.reason : "";
    text("#waiting-why", why && `${why[0].toUpperCase()}${why.slice(1)}.`);
    text("#waiting-step", event.queues ? "" : event.step);
    find("place").hidden = event.place === null;
    find("place").querySelector("[data-value]").textContent = event.place;
    find("unplaced").hidden = !event.queues || event.place !== null;
    showTime(find("expected"), event.expected);
    showTime(find("was"), event.was);
    showTime(find("asked"), event.asked);
    asked = event.asked;
    elapse();
    showTime(page.querySelector("#waiting-trouble"), event.trouble ? event.since : null);
    showTime(page.querySelector("#waiting-looked").parentNode, event.looked);
    document.title = [event.place && find("place").textContent, event.message, site]
      .filter(Boolean)
      .join(" · ");
    note(event.detail);
    note(event.trouble);
    if (event.queues) {
      page.dispatchEvent(new Event("shopfloor-queues")); // switch.js looks for something that is free
    }
  };
}

/** The button that asks the browser to tell: its permission is only ever asked for by a click. */
function makeTell(button) {
  const key = `shopfloor-tell ${window.location.pathname}`;
  const possible = "Notification" in window && window.isSecureContext;
  button.hidden = !possible;
  const set = (on) => {
    button.setAttribute("aria-pressed", String(on));
    if (on) {
      button.textContent = button.dataset.on;
      sessionStorage.setItem(key, "1");
    }
  };
  if (possible && Notification.permission === "granted" && sessionStorage.getItem(key)) {
    set(true);
  }
  button.addEventListener("click", async () => {
    const answer = await Notification.requestPermission();
    set(answer === "granted");
    if (answer !== "granted") {
      button.textContent = button.dataset.denied;
    }
  });
  /** Tell it, and resolve when the page may go on: a notification dies with its page. */
  return (ready) =>
    new Promise((resolve) => {
      if (button.getAttribute("aria-pressed") !== "true") {
        resolve();
        return;
      }
      sessionStorage.removeItem(key);
      const words = ready ? button.dataset.ready : button.dataset.failed;
      const told = new Notification(words, { body: document.title, tag: key });
      document.title = words;
      told.onclick = () => {
        window.focus();
        told.close();
        resolve();
      };
      if (!document.hidden) {
        resolve();
      }
      document.addEventListener("visibilitychange", () => document.hidden || resolve());
    });
}

function waitingPage(page) {
  const show = makeShow(page);
  const tell = makeTell(page.querySelector("#waiting-tell"));
  const leaving = () => page.querySelector("[data-stop]:disabled") !== null;
  const lost = page.querySelector("#waiting-lost");
  let lostSince = null;
  let waking = null;

  const connect = () => {
    const events = new EventSource(page.dataset.progress);
    events.onopen = () => {
      lostSince = null;
      showTime(lost, null);
    };
    events.onmessage = async (message) => {
      const event = JSON.parse(message.data);
      if (event.ready || event.failed) {
        events.close();
        // After Cancel and Change their own answer leads on from here.
        if (!leaving()) {
          await tell(Boolean(event.ready));
          // What comes next, Lab or what went wrong, is the hub's to say.
          window.location.reload();
        }
      } else if (event.stage) {
        // Without a stage it is JupyterHub's own line, which says less than the page did.
        show(event);
      }
    };
    // The browser asks again by itself after some errors, but never after an answer such as 400 or 503.
    events.onerror = () => {
      events.close();
      if (!leaving()) {
        lostSince ??= Date.now() / 1000;
        retry();
      }
    };
  };

  const answers = () =>
    fetch(window.location.href, { redirect: "manual", cache: "no-store" }).then(
      (response) => response.type === "opaqueredirect" || response.status < 502,
      () => false,
    );

  const retry = async () => {
    if (await answers()) {
      window.location.reload();
      return;
    }
    showTime(lost, lostSince);
    await new Promise((resolve) => {
      waking = resolve;
      setTimeout(resolve, RETRY_MS);
    });
    await retry();
  };
  window.addEventListener("online", () => waking?.());

  connect();
}

document.addEventListener("DOMContentLoaded", () => waitingPage(document.querySelector("#waiting")));
