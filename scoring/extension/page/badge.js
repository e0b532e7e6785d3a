"use strict";
/** One score beside its text; pressed, it says why and takes a correction. */
{
  const { ask, button, buildChart, buildWords, element, host, lookOf, percent, buildRows } = globalThis.scorelake;
  const STORED = {
    known: "Stored: it counts from the next ingest of labels on.",
    waiting: "Stored: it counts once the lake has this comment.",
  };

  /**
   * @param {{score: any, model: string, isCut: boolean, subject: object, beside: Node}} scored
   *   `subject` says what a correction is about: `{comment_id}` or `{text}`
   */
  function buildBadge(scored) {
    const face = element("button", { type: "button" });
    const details = element("div", { popover: "auto", role: "dialog", "aria-label": "About this score" });
    const badge = host("scorelake-badge", scored.beside, face, details);
    face.popoverTargetElement = details;
    showLabel(face, scored.score.shown, percent(scored.score.confidence));
    face.title = describe(scored);
    details.addEventListener("beforetoggle", (event) => {
      if (/** @type {ToggleEvent} */ (event).newState === "open") fillDetails(details, face, scored);
    });
    details.addEventListener("toggle", () => place(details, face));
    return badge;
  }

  /** @param {HTMLElement} face @param {string} label @param {string} note */
  function showLabel(face, label, note) {
    const { shape, tone } = lookOf(label);
    face.className = `badge ${tone}`;
    const mark = element("span", { class: "shape", "aria-hidden": "true" }, shape);
    face.replaceChildren(mark, ` ${label} `, element("span", { class: "small" }, note));
  }

  /** @param {{score: any, isCut: boolean}} scored */
  function describe({ score, isCut }) {
    const words = score.words.filter((/** @type {{kind: string}} */ { kind }) => kind !== "feature");
    const names = words.map((/** @type {{name: string}} */ { name }) => `“${name}”`).join(", ");
    return [
      ...(score.shown === score.label ? [] : [`Nearest is ${score.label}.`]),
      ...(names ? [`Moved by ${names}.`] : []),
      ...(isCut ? ["Only its beginning was scored."] : []),
      "Press for more.",
    ].join(" ");
  }

  /** @param {HTMLElement} details @param {HTMLElement} face @param {any} scored */
  function fillDetails(details, face, scored) {
    const { score, model, isCut } = scored;
    details.replaceChildren(
      element("h2", {}, score.shown === score.label ? score.label : `unsure, nearest ${score.label}`),
      buildChart(buildRows(score), model),
      ...(score.words.length
        ? [element("p", {}, `What moved it to ${score.label}, or away:`), buildWords(score.words)]
        : []),
      ...(isCut ? [element("p", { class: "small" }, "The text is long: only its beginning was scored.")] : []),
      buildCorrection(face, scored),
    );
  }

  /** @param {HTMLElement} face @param {any} scored */
  function buildCorrection(face, scored) {
    const status = element("p", { role: "status", class: "small" });
    const labels = scored.score.probabilities.map((/** @type {[string, number]} */ [label]) => label);
    const buttons = labels.map((/** @type {string} */ label) => {
      const made = button(`${lookOf(label).shape} ${label}`, () => correct(label));
      made.setAttribute("aria-label", `It is ${label}`);
      return made;
    });

    /** @param {string} label */
    async function correct(label) {
      for (const one of buttons) one.disabled = true;
      status.textContent = "Sending…";
      try {
        const correction = { model: scored.model, label, ...scored.subject };
        const answer = await ask({ kind: "correct", correction });
        status.textContent = Object.hasOwn(STORED, answer) ? STORED[answer] : `Stored (${answer}).`;
        showLabel(face, label, "yours");
      } catch (error) {
        status.textContent = /** @type {Error} */ (error).message;
      }
      for (const one of buttons) one.disabled = false;
    }

    const group = element("div", { class: "buttons", role: "group", "aria-label": "Correct it" }, ...buttons);
    return element(
      "div",
      {},
      element("p", {}, "Is it something else? Your label is sent to the service."),
      group,
      status,
    );
  }

  /** Below its badge, within the window. @param {HTMLElement} details @param {HTMLElement} face */
  function place(details, face) {
    const at = face.getBoundingClientRect();
    const size = details.getBoundingClientRect();
    const below = at.bottom + 4 + size.height <= innerHeight ? at.bottom + 4 : at.top - 4 - size.height;
    details.style.top = `${Math.max(8, below)}px`;
    details.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
  }

  Object.assign(globalThis.scorelake, { buildBadge });
}
