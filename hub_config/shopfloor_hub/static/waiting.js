/* The waiting page: what the job does comes as events; lost connections are made again, and readiness is told. Words
   come from the template; showClocks is shopfloor.js's. */
"use strict";

const RETRY_MS = 2000;
// The hub sends an empty line every 8 s. An EventSource does not tell of them, and a proxy may keep a connection open
// behind which no hub is any more: so the stream is read here, and silence means that it is lost.
const SILENCE_MS = 20000;
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
    const why = event.queues || event.others ? event.reason : "";
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

/** The events of a stream, as they come. Ends with the stream; throws when it cannot be had, or falls silent. */
async function* readEvents(url) {
  const silence = new AbortController();
  let timer = null;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  heard();
  try {
    const response = await fetch(url, { cache: "no-store", signal: silence.signal });
    if (!response.ok) {
      throw new Error(`${response.status} ${response.statusText}`);
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      heard();
      const lines = (text + value).split("\n");
      text = lines.pop();
      for (const line of lines.filter((one) => one.startsWith("data:"))) {
        yield JSON.parse(line.slice("data:".length));
      }
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

function waitingPage(page) {
  const show = makeShow(page);
  const tell = makeTell(page.querySelector("#waiting-tell"));
  const leaving = () => page.querySelector("[data-stop]:disabled") !== null;
  const lost = page.querySelector("#waiting-lost");
  let goesOn = false;

  const goOn = () => {
    goesOn = true;
    window.location.reload();
  };

  /** Takes an event; false after the last one, for what comes next, Lab or what went wrong, is the hub's to show. */
  const onEvent = async (event) => {
    if (event.ready || event.failed) {
      // After Cancel and Change their own answer leads on from here.
      if (!leaving()) {
        await tell(Boolean(event.ready));
        goOn();
      }
      return false;
    }
    if (event.stage) {
      // Without a stage it is JupyterHub's own line, which says less than the page did.
      show(event);
    }
    return true;
  };

  const follow = async () => {
    try {
      for await (const event of readEvents(page.dataset.progress)) {
        if (!(await onEvent(event))) {
          return;
        }
      }
    } catch (error) {
      // Whatever broke the stream, the page itself is asked next.
      console.info(error.message);
    }
  };

  const pause = () =>
    new Promise((resolve) => {
      window.addEventListener("online", resolve, { once: true });
      setTimeout(resolve, RETRY_MS);
    });

  const answers = () =>
    fetch(window.location.href, {
      redirect: "manual",
      cache: "no-store",
      signal: AbortSignal.timeout(SILENCE_MS),
    }).then(
      (response) => response.type === "opaqueredirect" || response.status < 502,
      () => false,
    );

  const run = async () => {
    await follow();
    if (goesOn) {
      return;
    }
    const since = Date.now() / 1000;
    // A Cancel that fails leaves the page here after all.
    while (leaving()) {
      await pause();
    }
    while (!(await answers())) {
      showTime(lost, since);
      await pause();
    }
    goOn();
  };

  run();
}

document.addEventListener("DOMContentLoaded", () => waitingPage(document.querySelector("#waiting")));
