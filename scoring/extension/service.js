/** The REST service as the extension sees it: three requests, and its errors in words for a person. */

import { ORIGIN_SETTING, checkAddress } from "./settings.js";

/** @typedef {import("./settings.js").Settings} Settings */

const TIMEOUT_MS = 30_000;
const TOP_WORDS = 5;

/** What went wrong and what to do; `seconds` is set if trying again after so long may help. */
export class ServiceError extends Error {
  /** @param {string} message @param {number} [seconds] */
  constructor(message, seconds) {
    super(message);
    this.seconds = seconds;
  }
}

/** Models that the service has: also the quickest proof that address, key and origin are right. */
export async function readModels(/** @type {Settings} */ settings) {
  const { models } = await call(settings, "/v1/models");
  if (!Array.isArray(models)) throw unlikeScorelake(settings);
  return models.map(({ model, model_version: version }) => ({ model: String(model), version: String(version) }));
}

/**
 * Scores of texts, in their order.
 *
 * @param {Settings} settings
 * @param {object[]} texts at most 1,000, as the service's contract has them
 */
export async function scoreTexts(settings, texts) {
  const path = `/v1/${encodeURIComponent(settings.model)}/score`;
  const answer = await call(settings, path, { texts, top_words: TOP_WORDS });
  const isFit =
    Array.isArray(answer.results) && answer.results.length === texts.length && answer.results.every(Boolean);
  if (!isFit) throw unlikeScorelake(settings);
  return { model: String(answer.model), version: String(answer.model_version), results: answer.results };
}

/**
 * Stores a person's label; "known" if the lake has the comment already, "waiting" if not yet.
 *
 * @param {Settings} settings
 * @param {{model: string, label: string, comment_id?: string, text?: string}} correction
 */
export async function sendCorrection(settings, correction) {
  const { status } = await call(settings, "/v1/feedback", { ...correction, source: "extension" });
  return String(status);
}

/** @param {Settings} settings @param {string} path @param {object} [body] */
async function call(settings, path, body) {
  const address = checkAddress(settings.address);
  if (!settings.key) throw new ServiceError("No key is set. Enter the service's key in the options.");
  const response = await send(address, path, settings.key, body);
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw explain(response, answer, settings);
  if (answer === null || typeof answer !== "object") throw unlikeScorelake(settings);
  return answer;
}

/** @param {string} address @param {string} path @param {string} key @param {object} [body] */
async function send(address, path, key, body) {
  /** @type {RequestInit} */
  const request = {
    method: body ? "POST" : "GET",
    headers: { Authorization: `Bearer ${key}`, ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
    credentials: "omit",
    cache: "no-store",
    // A key is for the address that was typed in, not for one that an answer names.
    redirect: "error",
    referrerPolicy: "no-referrer",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  };
  try {
    return await fetch(address + path, request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new ServiceError(`${address} gave no answer within ${TIMEOUT_MS / 1000} seconds.`);
    }
    throw await explainSilence(address);
  }
}

/**
 * A browser does not say why it got nothing to read. A request without origin and key tells a service that refuses
 * this extension from one that is not running.
 *
 * @param {string} address
 */
async function explainSilence(address) {
  try {
    const signal = AbortSignal.timeout(5_000);
    await fetch(`${address}/health/live`, { mode: "no-cors", credentials: "omit", cache: "no-store", signal });
  } catch {
    return new ServiceError(`Nothing answers at ${address}. Start it with "scorelake serve", or correct the address.`);
  }
  return new ServiceError(
    `The service at ${address} does not let this extension in (403). Start it with ${ORIGIN_SETTING}`,
  );
}

/** @param {Response} response @param {{detail?: unknown} | null} problem @param {Settings} settings */
function explain(response, problem, settings) {
  const detail = typeof problem?.detail === "string" ? problem.detail : "";
  switch (response.status) {
    case 401:
      return new ServiceError("The service does not know this key (401). Enter the right one in the options.");
    case 403:
      return new ServiceError(`The service does not let this extension in (403). Start it with ${ORIGIN_SETTING}`);
    case 404:
      return new ServiceError(detail || `The service has no model "${settings.model}" (404). Choose another one.`);
    case 429:
      return new ServiceError("Too many requests for now (429).", readWait(response));
    case 503:
      return new ServiceError(`The service is busy (503). ${detail}`.trim(), readWait(response));
    default:
      return new ServiceError(`The service answered ${response.status}. ${detail}`.trim());
  }
}

/** Seconds to wait, 1 to 60; 5 where the header does not say, or cannot be read from another origin. */
function readWait(/** @type {Response} */ response) {
  const seconds = Number(response.headers.get("Retry-After") ?? 5);
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 1), 60) : 5;
}

/** @param {Settings} settings */
function unlikeScorelake(settings) {
  return new ServiceError(`What answers at ${settings.address} does not answer as scorelake does.`);
}
