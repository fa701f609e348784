/* What makes Shopfloor's pages live: times, stopping, the start form's sentence; waiting.js has the waiting page.
   All words come from the templates, and without this script the forms still work. */
"use strict";

/** Times in the reader's own time zone; with the weekday where it is not today. */
function showClocks(root) {
  for (const element of root.querySelectorAll("time[data-clock][datetime]")) {
    const then = new Date(element.dateTime);
    const today = then.toDateString() === new Date().toDateString();
    element.textContent = then.toLocaleString(document.documentElement.lang, {
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
      ...(today ? {} : { weekday: "short" }),
    });
    element.title = then.toLocaleString();
  }
}

/** Post to the hub's API; the answer, or an Error with the hub's own words. */
async function sendJson(url, data) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-XSRFToken": window.jhdata.xsrf_token },
    body: JSON.stringify(data),
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(body.message || String(response.status));
  }
  return body;
}

/** A form is sent once: a second click would only meet an answer that is under way. */
function sendOnce(form) {
  form.addEventListener("submit", (event) => {
    const button = form.querySelector("button[type=submit]");
    if (button.getAttribute("aria-busy") === "true") {
      event.preventDefault();
    }
    button.setAttribute("aria-busy", "true");
  });
  // A page that comes out of the browser's history has not been sent.
  window.addEventListener("pageshow", () => {
    form.querySelector("button[type=submit]").removeAttribute("aria-busy");
  });
}

async function stop(button) {
  const label = button.textContent;
  button.disabled = true;
  button.textContent = button.dataset.busy;
  let reason;
  try {
    const response = await fetch(button.dataset.stop, {
      method: "DELETE",
      headers: { "X-XSRFToken": window.jhdata.xsrf_token },
    });
    // 404: somebody else stopped it before, and nothing runs, which is what was wanted.
    if (response.ok || response.status === 404) {
      window.location.assign(button.dataset.home);
      return;
    }
    const body = await response.json().catch(() => ({}));
    reason = body.message || response.status;
  } catch (error) {
    reason = error.message;
  }
  button.disabled = false;
  button.textContent = label;
  const note = document.createElement("span");
  note.className = "sf-stop-failed";
  note.setAttribute("role", "alert");
  note.textContent = `${button.dataset.failed} ${reason}`;
  button.parentNode.querySelector(".sf-stop-failed")?.remove();
  button.after(note);
}

/** The start form: Custom begins with the preset chosen before, its limits follow the hardware, a sentence says all. */
function startForm(form) {
  const fields = form.querySelector("#custom-fields");
  const sentence = form.querySelector("#sentence");
  const limits = JSON.parse(fields.dataset.limits);
  const value = (name) => form.elements[name]?.value.trim() ?? "";
  const radio = () => form.querySelector("input[name=preset]:checked");
  let asTyped = radio()?.value === "custom";

  const fill = (text, values) =>
    text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  const custom = () => {
    const words = sentence.dataset;
    const gpus = Number(value("gpus") || 0);
    const kind = value("gpu_type").toUpperCase() || words.gpu;
    const cpus = value("cpus") || "1";
    let what = [
      gpus ? `${gpus} ${kind}` : "",
      cpus === "1" ? words.cpu : fill(words.cpus, { n: cpus }),
      value("memory"),
    ]
      .filter(Boolean)
      .join(", ");
    if (Number(value("nodes")) > 1) {
      what = fill(words.nodes, { n: value("nodes"), what });
    }
    return fill(words.whole, { what, time: value("time") });
  };

  const update = () => {
    const chosen = radio();
    const isCustom = chosen?.value === "custom";
    // Fields that do not count must not hold up the form either.
    fields.disabled = !isCustom;
    const table = limits[value("partition")] ?? limits[""];
    for (const [name, { max, text }] of Object.entries(table)) {
      form.querySelector(`[data-limit-of="${name}"]`).textContent = text;
      const input = form.elements[name];
      if (input.type === "number" && max !== null) {
        input.max = max;
      }
    }
    sentence.hidden = !chosen;
    sentence.textContent = isCustom ? custom() : (chosen?.dataset.sentence ?? "");
  };

  form.addEventListener("input", (event) => {
    if (event.target.name === "preset") {
      if (event.target.dataset.values && !asTyped) {
        for (const [name, text] of Object.entries(JSON.parse(event.target.dataset.values))) {
          if (form.elements[name]) {
            form.elements[name].value = text;
          }
        }
      }
    } else {
      asTyped = true;
    }
    update();
  });
  window.addEventListener("pageshow", update);
  update();
  document.querySelector("#refusal") && fields.querySelector("[aria-invalid]")?.focus();
}

/** Make what is below an element live. */
function enliven(root) {
  showClocks(root);
  root.querySelectorAll("form[data-once]").forEach(sendOnce);
  root.querySelectorAll("[data-stop]").forEach((button) => {
    button.addEventListener("click", (event) => {
      event.preventDefault();
      void stop(button);
    });
  });
}

document.addEventListener("DOMContentLoaded", () => {
  enliven(document);
  const form = document.querySelector("#spawn_form");
  if (form) {
    startForm(form);
  }
  if (window.sfReloadAfter) {
    setTimeout(() => window.location.reload(), window.sfReloadAfter);
  }
});
