/** The service worker: it alone knows the key and speaks with the service; pages get scores, never settings. */

import { showIcon } from "./icon.js";
import { scoreTexts, sendCorrection } from "./service.js";
import { hideSettingsFromPages, readSettings } from "./settings.js";

/** Run in this order within the page, in a world of their own. */
const PAGE_FILES = ["style", "elements", "labels", "batches", "comments", "chart", "badge", "panel", "open"];
const MENU = "score-selection";

showIcon();
hideSettingsFromPages();

chrome.runtime.onInstalled.addListener(async ({ reason }) => {
  await chrome.contextMenus.removeAll();
  chrome.contextMenus.create({ id: MENU, title: "Mood of this text", contexts: ["selection"] });
  if (reason === "install") chrome.runtime.openOptionsPage();
});

chrome.action.onClicked.addListener((tab) => openOn(tab, { what: "either" }));

chrome.contextMenus.onClicked.addListener((info, tab) => {
  if (info.menuItemId === MENU && tab) openOn(tab, { what: "selection", text: info.selectionText ?? "" });
});

/** @param {chrome.tabs.Tab} tab @param {{what: "either" | "selection", text?: string}} request */
async function openOn(tab, request) {
  const tabId = /** @type {number} */ (tab.id);
  const target = { tabId };
  try {
    if (!(await isIn(target).catch(() => isInLater(target)))) {
      await chrome.scripting.executeScript({ target, files: PAGE_FILES.map((name) => `page/${name}.js`) });
    }
    const open = (/** @type {object} */ given) => globalThis.scorelake.open(given);
    await chrome.scripting.executeScript({ target, func: open, args: [request] });
    await tell(tabId, "", "");
  } catch (error) {
    await tell(tabId, "!", `The browser does not let extensions read this page. ${error}`);
  }
}

/** Whether the page has our scripts; those of an earlier version can no longer speak with this one. */
async function isIn(/** @type {chrome.scripting.InjectionTarget} */ target) {
  const func = () => Boolean(globalThis.scorelake?.open && chrome.runtime?.id);
  const [{ result }] = await chrome.scripting.executeScript({ target, func });
  return result;
}

/** Just after a page has loaded, the browser may tell of a click a moment before it lets the extension in. */
async function isInLater(/** @type {chrome.scripting.InjectionTarget} */ target) {
  await new Promise((resolve) => setTimeout(resolve, 300));
  return isIn(target);
}

/** @param {number} tabId @param {string} mark @param {string} title "" is the one of the manifest */
async function tell(tabId, mark, title) {
  await chrome.action.setBadgeText({ tabId, text: mark });
  await chrome.action.setTitle({ tabId, title: title || chrome.runtime.getManifest().action.default_title });
}

/** What a page may ask for. */
const ANSWERS = {
  score: async (/** @type {{texts: object[]}} */ { texts }) => scoreTexts(await readSettings(), texts),
  correct: async (/** @type {{correction: any}} */ { correction }) => sendCorrection(await readSettings(), correction),
  options: async () => chrome.runtime.openOptionsPage(),
};

chrome.runtime.onMessage.addListener((message, sender, respond) => {
  if (sender.id !== chrome.runtime.id || !Object.hasOwn(ANSWERS, message?.kind)) return false;
  ANSWERS[message.kind](message).then(
    (/** @type {unknown} */ value) => respond({ value }),
    (/** @type {any} */ error) => respond({ error: { message: error.message, seconds: error.seconds } }),
  );
  return true; // the answer comes later
});
