/** The options page: address, key and model; "Try it" asks for the models with what stands in the form. */

import { readModels } from "./service.js";
import { DEFAULTS, ORIGIN_SETTING, checkAddress, readSettings, writeSettings } from "./settings.js";

/** @template {HTMLElement} T @param {string} id */
const find = (id) => /** @type {T} */ (document.getElementById(id));

const address = /** @type {HTMLInputElement} */ (find("address"));
const key = /** @type {HTMLInputElement} */ (find("key"));
const model = /** @type {HTMLSelectElement} */ (find("model"));
const outcome = find("outcome");

/** @returns {import("./settings.js").Settings} */
function readForm() {
  return { address: checkAddress(address.value), key: key.value.trim(), model: model.value };
}

/** @param {string[]} names @param {string} chosen */
function offerModels(names, chosen) {
  const all = [...new Set([...names, chosen])];
  model.replaceChildren(...all.map((name) => new Option(name, name, false, name === chosen)));
}

/** @param {string} words @param {"good" | "bad" | ""} how */
function tell(words, how) {
  outcome.textContent = words;
  outcome.className = how;
}

/** @param {() => Promise<string>} act whose words are told, its error's otherwise */
async function report(act) {
  tell("…", "");
  try {
    tell(await act(), "good");
  } catch (error) {
    tell(/** @type {Error} */ (error).message, "bad");
  }
}

async function save() {
  const settings = readForm();
  await writeSettings(settings);
  address.value = settings.address;
  return "Saved.";
}

async function tryIt() {
  const models = await readModels(readForm());
  if (!models.length) return "The service answers, but has no model yet: train one first.";
  offerModels(
    models.map((one) => one.model),
    model.value,
  );
  return `The service answers: ${models.map((one) => `${one.model}, version ${one.version}`).join("; ")}.`;
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  report(save);
});
find("try").addEventListener("click", () => report(tryIt));

find("origin").textContent = ORIGIN_SETTING;
const settings = await readSettings();
address.value = settings.address || DEFAULTS.address;
key.value = settings.key;
offerModels(["sentiment", "spam"], settings.model);
