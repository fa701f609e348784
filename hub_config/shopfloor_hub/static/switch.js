/* The waiting page's one offer: what starts now instead, taken with one click. sendJson is shopfloor.js's. */

"use strict";

(() => {
  const ASK_AGAIN = 60; // seconds; only a page that somebody comes back to asks again

  function switchOffer(place) {
    const button = place.querySelector("button");
    const { url, server, form, request, text } = place.dataset;
    let askedAt = -Infinity;

    const ask = async () => {
      const now = performance.now() / 1000;
      if (document.hidden || now - askedAt < ASK_AGAIN) {
        return;
      }
      askedAt = now;
      const answer = await sendJson(url, { user_options: JSON.parse(request) }).catch(() => null);
      const instead = answer?.instead[0];
      place.hidden = !instead;
      if (instead) {
        button.textContent = text.replace("{hardware}", instead.hardware);
        button.onclick = () => take(instead.values);
      }
    };

    /** Give up the place and ask for the other; where that fails, the form is where one goes on. */
    const take = async (values) => {
      const asked = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
      button.disabled = true;
      button.dataset.stop = server; // the page leaves the end of this start to us
      try {
        const ended = await fetch(server, {
          method: "DELETE",
          headers: { "X-XSRFToken": window.jhdata.xsrf_token },
        });
        if (ended.status !== 204) {
          throw new Error(String(ended.status));
        }
        await fetch(server, {
          method: "POST",
          headers: {
            "Content-Type": "application/json",
            "X-XSRFToken": window.jhdata.xsrf_token,
          },
          body: JSON.stringify({ user_options: asked }),
        }).then((answer) => {
          if (!answer.ok) {
            throw new Error(String(answer.status));
          }
        });
        window.location.reload();
      } catch {
        const typed = new URLSearchParams({ preset: "custom", ...asked });
        window.location.assign(`${form}?${typed}`);
      }
    };

    document.querySelector("#waiting").addEventListener(
      "shopfloor-queues",
      () => {
        document.addEventListener("visibilitychange", ask);
        ask();
      },
      { once: true },
    );
  }

  document.addEventListener("DOMContentLoaded", () => {
    const place = document.querySelector("#waiting-switch");
    if (place) {
      switchOffer(place);
    }
  });
})();
