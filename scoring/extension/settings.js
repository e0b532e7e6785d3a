/** Where the service is, its key, and which model is asked. Kept on this device, out of reach of pages. */

/** @typedef {{address: string, key: string, model: string}} Settings */

/** @type {Readonly<Settings>} */
export const DEFAULTS = Object.freeze({ address: "http://127.0.0.1:8321", key: "", model: "sentiment" });

/** Setting of the service that lets this extension in. */
export const ORIGIN_SETTING = `SCORELAKE_SERVE_ORIGINS=${location.origin}`;

/** @returns {Promise<Settings>} */
export async function readSettings() {
  return /** @type {Promise<Settings>} */ (chrome.storage.local.get(DEFAULTS));
}

/** @param {Settings} settings */
export async function writeSettings(settings) {
  await chrome.storage.local.set(settings);
}

/** Content scripts live within pages; even they cannot read the key then. */
export async function hideSettingsFromPages() {
  await chrome.storage.local.setAccessLevel({ accessLevel: "TRUSTED_CONTEXTS" });
}

/**
 * The address as requests begin with it: without a slash at its end.
 *
 * The key and the texts go there, so plain http is for this machine only.
 *
 * @param {string} text
 * @returns {string}
 * @throws {Error} in words for a person
 */
export function checkAddress(text) {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw new Error(`The address must look like ${DEFAULTS.address}.`);
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Error("The address must have no user, password, question mark or #.");
  }
  if (url.protocol === "http:" && !isThisMachine(url.hostname)) {
    throw new Error("The key and the texts would travel in the clear: use https for any machine but this one.");
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

/** @param {string} host as the URL parser writes it */
function isThisMachine(host) {
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
