/* The start form's outlook: what the choice costs, when it would start, and what would start now instead.

   Asked only when somebody chooses something in a page that is seen: each answer may cost the scheduler a question.
   sendJson is shopfloor.js's. */

"use strict";

(() => {
  const PAUSE = 400; // milliseconds after the last key

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  const clock = (epoch) => {
    const then = new Date(epoch * 1000);
    const today = then.toDateString() === new Date().toDateString();
    const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const language = document.documentElement.lang;
    return then.toLocaleString(language, today ? parts : { weekday: "short", ...parts });
  };

  const ago = (epoch) => `${Math.max(0, Math.round(Date.now() / 1000 - epoch))} s`;

  /** The sentence on a start; `words` are the texts of the page by the kind of answer. */
  function startWords({ start, free }, words) {
    if (start.kind === "unknown" && start.asked !== null) {
      return fill(words.unknownSince, { ago: ago(start.asked), at: start.at ? clock(start.at) : "?" });
    }
    const kind = start.kind === "later" && free ? "laterFree" : start.kind;
    return fill(words[kind], { at: start.at ? clock(start.at) : "", why: start.why });
  }

  function outlook(form, place) {
    const words = place.dataset;
    const said = place.querySelector("[data-said]");
    const other = place.querySelector("button");
    let timer, asked;

    const options = () => {
      const chosen = form.querySelector("input[name=preset]:checked");
      if (!chosen) {
        return null;
      }
      if (chosen.value !== "custom") {
        return { preset: chosen.value };
      }
      const typed = [...new FormData(form)].filter(
        ([name, text]) => !["_xsrf", "preset", "next"].includes(name) && text !== "",
      );
      return Object.fromEntries(typed);
    };

    const show = (answer) => {
      const parts = [startWords(answer, words)];
      if (answer.cost) {
        parts.push(fill(words.cost, answer));
      }
      if (answer.too_dear) {
        parts.push(words.tooDear);
      }
      said.textContent = parts.join(" ");
      place.dataset.kind = answer.start.kind;
      showFree(answer);
      const [instead] = answer.instead;
      other.hidden = !instead;
      if (instead) {
        other.textContent = fill(words.instead, instead);
        other.onclick = () => take(instead.values);
      }
    };

    /** What is free, as of this answer: else a card would say "free now" beside a start in half an hour. */
    const showFree = ({ free_now: free, seen, rooms }) => {
      const line = document.querySelector("#free-now");
      if (line && free.length) {
        line.textContent = fill(words.freeNow, { free: free.join(", "), at: clock(seen) });
      }
      let taken = false;
      for (const card of form.querySelectorAll("[data-room]")) {
        const room = rooms[card.dataset.preset];
        const now = room === words.noneFree ? "none" : "some";
        if (room && (now === "some" || card.dataset.room === "some")) {
          taken ||= now === "none";
          card.dataset.room = now;
          card.textContent = room;
        }
      }
      if (taken) {
        cards(form, words);
      }
    };

    const take = (values) => {
      const custom = form.querySelector("input[name=preset][value=custom]");
      custom.checked = true;
      for (const [name, text] of Object.entries(values)) {
        if (form.elements[name]) {
          form.elements[name].value = text;
        }
      }
      form.elements.cpus?.dispatchEvent(new Event("input", { bubbles: true }));
    };

    const look = async () => {
      const wanted = options();
      const key = JSON.stringify(wanted);
      if (!wanted || document.hidden) {
        return;
      }
      asked = key;
      place.setAttribute("aria-busy", "true");
      try {
        const answer = await sendJson(words.url, { user_options: wanted });
        if (asked === key) {
          show(answer);
        }
      } catch (error) {
        if (asked === key) {
          said.textContent = error.message;
          other.hidden = true;
          place.dataset.kind = "refused";
        }
      } finally {
        if (asked === key) {
          place.removeAttribute("aria-busy");
        }
      }
    };

    const soon = () => {
      clearTimeout(timer);
      asked = undefined; // an answer to what was chosen before is of no use any more
      timer = setTimeout(look, PAUSE);
    };

    form.addEventListener("input", soon);
    place.hidden = false;
    look();
  }

  /** Cards of which nothing is free now say when it would be: one question after the other. */
  async function cards(form, words) {
    for (const card of form.querySelectorAll("[data-room='none']")) {
      if (document.hidden) {
        return;
      }
      try {
        const answer = await sendJson(words.url, { user_options: { preset: card.dataset.preset } });
        const later = answer.start.kind === "later" ? words.cardLater : "";
        card.textContent = later ? fill(later, { at: clock(answer.start.at) }) : card.textContent;
      } catch {
        return; // what stands there is still true
      }
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("#spawn_form");
    const place = document.querySelector("#outlook");
    if (form && place) {
      outlook(form, place);
      cards(form, place.dataset);
    }
  });
})();
