"use strict";
/** What a score is called and by which shape and tone it is shown; never by colour alone. */
{
  /** Labels of models that ship with scorelake; any other one is shown as well. */
  const LOOKS = {
    positive: { shape: "▲", tone: "positive" },
    neutral: { shape: "●", tone: "neutral" },
    negative: { shape: "▼", tone: "negative" },
    ham: { shape: "✓", tone: "positive" },
    spam: { shape: "✖", tone: "negative" },
  };
  const UNSURE = "unsure";

  /** @param {string} label */
  function lookOf(label) {
    if (label === UNSURE) return { shape: "?", tone: "unsure" };
    return Object.hasOwn(LOOKS, label) ? LOOKS[label] : { shape: "◆", tone: "other" };
  }

  /**
   * A result of the service as it is shown.
   *
   * @typedef {{name: string, kind: string, weight: number}} Word
   * @typedef {{label: string, confidence: number, shown: string, probabilities: [string, number][], words: Word[]}} Score
   * @param {any} result
   * @returns {Score} `shown` is "unsure" instead of the label where the model abstains
   */
  function readScore(result) {
    const shares = Object.entries(result.probabilities ?? {});
    const probabilities = shares.map(([name, share]) => /** @type {[string, number]} */ ([name, Number(share)]));
    const given = Array.isArray(result.words) ? result.words : [];
    const words = given.map((/** @type {any} */ word) => ({
      name: String(word.name),
      kind: String(word.kind),
      weight: Number(word.weight),
    }));
    const label = String(result.label);
    const shown = result.is_abstained ? UNSURE : label;
    return { label, confidence: Number(result.confidence), shown, probabilities, words };
  }

  /** @param {number} share 0 to 1 */
  function percent(share) {
    return `${Math.round(share * 100)} %`;
  }

  /** A chart's rows: one for each label. @param {Score} score */
  function buildRows({ probabilities }) {
    return probabilities.map(([label, share]) => ({ label, share, text: percent(share) }));
  }

  /** Every label in the model's order, then "unsure". @param {Score[]} scores */
  function listShown(scores) {
    const names = scores.flatMap(({ probabilities, label }) => [...probabilities.map(([name]) => name), label]);
    return [...new Set([...names, UNSURE])];
  }

  Object.assign(globalThis.scorelake, { lookOf, readScore, percent, buildRows, listShown });
}
