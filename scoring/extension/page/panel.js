"use strict";
/** The summary in a corner: progress, chart, problems, and what can be done next. */
{
  const { ask, buildChart, button, element, host, listShown, percent, buildRows } = globalThis.scorelake;

  /** One panel a page. */
  class Panel {
    /** @param {() => void} close takes everything out of the page */
    constructor(close) {
      this.title = element("h2", { tabindex: "-1" }, "scorelake");
      this.chart = element("div");
      this.status = element("p", { role: "status" });
      this.problem = element("p", { role: "alert", class: "problem", hidden: "" });
      this.note = element("p", { class: "small" });
      this.actions = element("span", { class: "actions" });
      /** @type {string | null} */
      this.offered = null;
      this.press = () => {};
      const buttons = element(
        "div",
        { class: "buttons" },
        this.actions,
        button("Options", () => ask({ kind: "options" }).catch((error) => this.showProblem(error))),
        button("Close", close),
      );
      const parts = [this.title, this.chart, this.status, this.problem, this.note, buttons];
      const panel = element("section", { class: "panel", "aria-label": "scorelake" }, ...parts);
      panel.addEventListener("keydown", (event) => event.key === "Escape" && close());
      this.host = host("scorelake-panel", document.body, panel);
      document.documentElement.append(this.host);
    }

    /** @param {string} text */
    say(text) {
      // The same words again would be read out again.
      if (this.status.textContent !== text) this.status.textContent = text;
      this.problem.hidden = true;
    }

    /** @param {unknown} error */
    showProblem(error) {
      this.status.textContent = "";
      this.problem.textContent = error instanceof Error ? error.message : String(error);
      this.problem.hidden = false;
    }

    /** The button that goes on; null: none. @param {string | null} label @param {() => void} [press] */
    offer(label, press = () => {}) {
      this.press = press;
      // A button under the pointer stays the same one.
      if (label === this.offered) return;
      this.offered = label;
      this.actions.replaceChildren(...(label ? [button(label, () => this.press())] : []));
    }

    /** How many of each label. @param {any[]} scores @param {{model: string, version: string}} by */
    sumUp(scores, by) {
      const rows = listShown(scores).map((label) => {
        const share = scores.filter(({ shown }) => shown === label).length / Math.max(scores.length, 1);
        return { label, share, text: `${Math.round(share * scores.length)} · ${percent(share)}` };
      });
      this.show(`${scores.length} ${scores.length === 1 ? "comment" : "comments"}`, rows, by);
    }

    /** One text's probabilities. @param {any} score @param {{model: string, version: string}} by */
    showOne(score, by) {
      const isSure = score.shown === score.label;
      this.show(
        isSure ? `This text: ${score.label}` : `This text: unsure, nearest ${score.label}`,
        buildRows(score),
        by,
      );
    }

    /** @param {string} title @param {any[]} rows @param {{model: string, version: string}} by */
    show(title, rows, { model, version }) {
      this.title.textContent = title;
      this.chart.replaceChildren(buildChart(rows, model));
      this.note.textContent = `${model}, version ${version}`;
    }
  }

  Object.assign(globalThis.scorelake, { Panel });
}
