"use strict";
/** Bars as SVG: shape, label, bar, number; the words say what the colours say. */
{
  const { element, svg, lookOf } = globalThis.scorelake;
  const ROW = 22;
  const BAR = { left: 84, width: 116, height: 12 };

  /**
   * @param {{label: string, share: number, text: string}[]} rows share is 0 to 1
   * @param {string} title
   */
  function buildChart(rows, title) {
    const said = `${title}: ${rows.map(({ label, text }) => `${label} ${text}`).join(", ")}`;
    const size = { viewBox: `0 0 292 ${rows.length * ROW}`, role: "img", "aria-label": said };
    return svg("svg", size, ...rows.map(buildRow));
  }

  /** @param {{label: string, share: number, text: string}} row @param {number} index */
  function buildRow({ label, share, text }, index) {
    const { shape, tone } = lookOf(label);
    const middle = index * ROW + ROW / 2;
    const at = { y: String(middle - BAR.height / 2), height: String(BAR.height), rx: "3", x: String(BAR.left) };
    return svg(
      "g",
      { class: tone },
      svg("text", { x: "0", y: String(middle + 4), class: "shape" }, shape),
      svg("text", { x: "18", y: String(middle + 4) }, label),
      svg("rect", { ...at, width: String(BAR.width), class: "track" }),
      svg("rect", { ...at, width: String(BAR.width * Math.min(Math.max(share, 0), 1)), class: "bar" }),
      svg("text", { x: String(BAR.left + BAR.width + 6), y: String(middle + 4) }, text),
    );
  }

  /** What moved a score, as a list. @param {{name: string, kind: string, weight: number}[]} words */
  function buildWords(words) {
    const items = words.map(({ name, kind, weight }) => {
      const said = kind === "feature" ? `${name.replaceAll("_", " ")} (feature)` : `“${name}”`;
      return element("li", {}, said, `: ${weight < 0 ? "against, −" : "for, +"}${Math.abs(weight).toFixed(2)}`);
    });
    return element("ul", {}, ...items);
  }

  Object.assign(globalThis.scorelake, { buildChart, buildWords });
}
