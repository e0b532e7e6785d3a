"use strict";
/** Texts cut and packed as the service takes them. */
{
  const TEXT_CHARACTERS = 10_000;
  const BATCH_TEXTS = 1_000;
  const BATCH_BYTES = 1_000_000; // the service takes 1 MiB; the rest is for what is around the texts

  /** The text with whole characters only, and no more of them than the service takes. @param {string} text */
  function cutText(text) {
    const whole = text.toWellFormed();
    if (whole.length <= TEXT_CHARACTERS) return whole;
    return Array.from(whole).slice(0, TEXT_CHARACTERS).join("");
  }

  /**
   * @template {{request: {text: string}}} Item
   * @param {Item[]} items
   * @returns {Item[][]} in their order, each batch within the service's limits
   */
  function buildBatches(items) {
    const encoder = new TextEncoder();
    /** @type {Item[][]} */
    const batches = [];
    let bytes = Infinity;
    for (const item of items) {
      const size = encoder.encode(JSON.stringify(item.request)).length + 1;
      const last = batches.at(-1);
      if (!last || last.length === BATCH_TEXTS || bytes + size > BATCH_BYTES) {
        batches.push([item]);
        bytes = size;
      } else {
        last.push(item);
        bytes += size;
      }
    }
    return batches;
  }

  Object.assign(globalThis.scorelake, { cutText, buildBatches });
}
