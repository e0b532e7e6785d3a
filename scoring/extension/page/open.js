"use strict";
/** What a click does in the page: finds the texts, has them scored, shows badges and their sum. */
{
  const { ask, buildBadge, buildBatches, cutText, findComments, Panel, readScore } = globalThis.scorelake;
  const TRIES = 5;
  const LOOK_AGAIN_MS = 1_000;
  const HOSTS = "scorelake-badge, scorelake-panel";

  /** Comments that have a badge. @type {Map<Element, {key: string, badge: HTMLElement, score: any}>} */
  const scored = new Map();
  /** @type {InstanceType<typeof Panel> | null} */
  let panel = null;
  /** What is under way; asked to stop, it changes nothing any more. @type {{isStopped: boolean} | null} */
  let job = null;
  /** What gave the badges. @type {{model: string, version: string}} */
  let by = { model: "", version: "" };

  /** The only way in, from the toolbar or the menu. @param {{what: "either" | "selection", text?: string}} request */
  function open({ what, text = "" }) {
    if (job) return;
    const selection = getSelection();
    const selected = selection?.toString().trim() || text.trim();
    if (selected) {
      close();
      run((under) => scoreSelection(under, selected, selection));
    } else if (what === "either" && findComments().length) {
      if (!scored.size) close();
      run(scoreComments);
    } else {
      close();
      openPanel().say("Select a text, or open a video on YouTube and scroll to its comments; then click again.");
    }
  }

  function openPanel() {
    panel ??= new Panel(close);
    return panel;
  }

  /** Takes everything out of the page, also what an earlier version of the extension left. */
  function close() {
    if (job) job.isStopped = true;
    job = panel = null;
    observer.disconnect();
    for (const host of document.querySelectorAll(HOSTS)) host.remove();
    scored.clear();
  }

  /** @param {(under: {isStopped: boolean}) => Promise<void>} work */
  async function run(work) {
    const under = { isStopped: false };
    const shown = openPanel();
    job = under;
    observer.disconnect();
    shown.offer("Stop", () => {
      under.isStopped = true;
    });
    try {
      await work(under);
    } catch (error) {
      shown.showProblem(error);
      shown.offer("Try again", () => run(work));
    }
    if (job === under) job = null;
  }

  /** @param {{isStopped: boolean}} under @param {string} text @param {Selection | null} selection */
  async function scoreSelection(under, text, selection) {
    const shown = openPanel();
    shown.say("Scoring the selected text…");
    const range = selection?.rangeCount ? selection.getRangeAt(0) : null;
    const place = range ? [...range.getClientRects()].at(-1) : undefined;
    const cut = cutText(text);
    const isCut = cut !== text;
    const answer = await askPatiently(under, [{ text: cut }]);
    if (under.isStopped) return shown.say("Stopped.");
    const score = readScore(answer.results[0]);
    const beside = range?.endContainer ?? document.body;
    float(buildBadge({ score, model: answer.model, isCut, subject: { text }, beside }), place);
    shown.showOne(score, answer);
    shown.say(isCut ? "Only its first 10,000 characters were scored." : "");
    shown.offer(null);
  }

  /** Puts a badge where the selection ends, without a change to what the page has there. */
  function float(/** @type {HTMLElement} */ badge, /** @type {DOMRect | undefined} */ place) {
    badge.dataset.floating = "";
    const left = Math.max(0, Math.min(place?.right ?? 16, innerWidth - 160)) + scrollX;
    badge.style.setProperty("left", `${left}px`, "important");
    badge.style.setProperty("top", `${(place?.bottom ?? 16) + 4 + scrollY}px`, "important");
    document.documentElement.append(badge);
  }

  /** @param {{isStopped: boolean}} under */
  async function scoreComments(under) {
    const fresh = findFresh();
    let done = 0;
    for (const batch of buildBatches(fresh)) {
      openPanel().say(`Scoring ${done + 1} to ${done + batch.length} of ${fresh.length} comments…`);
      const answer = await askPatiently(
        under,
        batch.map(({ request }) => request),
      );
      if (under.isStopped) break;
      attachAll(batch, answer);
      done += batch.length;
    }
    if (panel) watch();
  }

  /** @param {any[]} batch @param {any} answer */
  function attachAll(batch, answer) {
    // What another version said is not summed up with this one's; it is offered again.
    if (answer.model !== by.model || answer.version !== by.version) dropBadges(() => true);
    by = { model: answer.model, version: answer.version };
    batch.forEach((comment, index) => attach(comment, readScore(answer.results[index])));
    sumUp();
  }

  /** @param {any} comment @param {any} score */
  function attach({ element, beside, commentId, isCut, request }, score) {
    const subject = commentId ? { comment_id: commentId } : { text: request.text };
    const badge = buildBadge({ score, model: by.model, isCut, subject, beside });
    beside.after(badge);
    scored.set(element, { key: `${commentId} ${request.text}`, badge, score });
  }

  function sumUp() {
    const scores = [...scored.values()].map(({ score }) => score);
    openPanel().sumUp(scores, by);
  }

  /** Comments without a badge. YouTube shows other comments in old elements: badges of those before are taken away. */
  function findFresh() {
    const comments = findComments();
    const keys = new Map(comments.map(({ element, commentId, request }) => [element, `${commentId} ${request.text}`]));
    dropBadges((element, { key, badge }) => keys.get(element) !== key || !badge.isConnected);
    return comments.filter(({ element }) => !scored.has(element));
  }

  /** @param {(element: Element, scored: {key: string, badge: HTMLElement}) => boolean} isStale */
  function dropBadges(isStale) {
    for (const [element, one] of scored) {
      if (!isStale(element, one)) continue;
      one.badge.remove();
      scored.delete(element);
    }
  }

  /** @param {{isStopped: boolean}} under @param {object[]} texts */
  async function askPatiently(under, texts) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await ask({ kind: "score", texts });
      } catch (error) {
        const { message, seconds } = /** @type {Error & {seconds?: number}} */ (error);
        if (!seconds || tries === TRIES) throw error;
        await waitFor(under, seconds, message);
      }
      if (under.isStopped) throw new Error("Stopped.");
    }
  }

  /** @param {{isStopped: boolean}} under @param {number} seconds @param {string} reason */
  async function waitFor(under, seconds, reason) {
    for (let left = seconds; left > 0 && !under.isStopped; left -= 1) {
      panel?.say(`${reason} Going on in ${left} s…`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }

  /** Offers what has come in since; it is scored when that is pressed, never by itself. */
  function watch() {
    const before = scored.size;
    const fresh = findFresh().length;
    const shown = openPanel();
    if (scored.size !== before) sumUp();
    shown.say(fresh ? "" : "All comments that are shown have their badge.");
    shown.offer(fresh ? `Score ${fresh} new ${fresh === 1 ? "comment" : "comments"}` : null, () => run(scoreComments));
    const changing = document.querySelector("ytd-comments") ?? document.body;
    observer.observe(changing, { childList: true, subtree: true, characterData: true, attributeFilter: ["hidden"] });
  }

  let isDue = false;
  const observer = new MutationObserver(() => {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      if (panel && !job) watch();
    }, LOOK_AGAIN_MS);
  });

  Object.assign(globalThis.scorelake, { open });
}
