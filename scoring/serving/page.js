// The lookup page. Whatever comes from outside is shown by text nodes alone.
"use strict";

const KEY = "scorelake-key";
const SVG = "http://www.w3.org/2000/svg";
const COLOURED = new Set(["positive", "neutral", "negative", "ham", "spam"]);
const find = (id) => document.getElementById(id);

function make(tag, words, ...children) {
  const node = document.createElement(tag);
  if (words !== undefined && words !== null) node.append(document.createTextNode(String(words)));
  node.append(...children);
  return node;
}

function draw(tag, attributes, words) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (words !== undefined) node.append(document.createTextNode(words));
  return node;
}

async function ask(path, body) {
  const asked = { headers: { Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` }, cache: "no-store" };
  if (body !== undefined) {
    asked.method = "POST";
    asked.headers["Content-Type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  const answer = await fetch(path, asked);
  const said = await answer.json();
  if (answer.status === 401) leave();
  if (!answer.ok) throw new Error(said.detail ?? `status ${answer.status}`);
  return said;
}

function tell(words) {
  find("said").replaceChildren(document.createTextNode(words));
}

function attempt(work) {
  return async (event) => {
    event?.preventDefault();
    tell("");
    try {
      await work();
    } catch (error) {
      tell(error.message);
    }
  };
}

function showAge(instant) {
  if (!instant) return "never";
  const hours = (Date.now() - Date.parse(instant)) / 3_600_000;
  const age = hours < 1 ? `${Math.round(hours * 60)} min` : hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} d`;
  return `${instant.slice(0, 16).replace("T", " ")} UTC, ${age} ago`;
}

function list(facts) {
  const node = make("dl");
  for (const [name, value] of facts) node.append(make("dt", name), make("dd", value));
  return node;
}

function showShare(value) {
  return `${(100 * value).toFixed(1)} %`;
}

function showResult(one, title) {
  const card = make("div");
  card.className = "card";
  card.append(make("h3", title), list([
    ["label", one.is_abstained ? `${one.label}, too unsure to act on` : one.label],
    ...Object.entries(one.probabilities).map(([name, value]) => [name, showShare(value)]),
    ...(one.model_version ? [["version", one.model_version], ["scored", showAge(one.scored_at)], ["run", one.run_id]] : []),
  ]));
  if (one.text) card.append(make("blockquote", one.text));
  if (one.words.length) {
    const table = make("table", null, make("tr", null, make("th", "what moved it"), make("th", "log-odds")));
    for (const word of one.words) {
      const weight = make("td", (word.weight > 0 ? "+" : "") + word.weight.toFixed(2));
      weight.className = "number";
      table.append(make("tr", null, make("td", word.kind === "feature" ? word.name : `“${word.name}”`), weight));
    }
    card.append(table);
  }
  return card;
}

async function showModels() {
  const said = await ask("v1/models");
  find("models").replaceChildren(...said.models.map((one) => {
    const card = make("div", null, make("h3", `${one.model} version ${one.model_version}`), list([
      ["newest comment", showAge(said.newest_comment_at)],
      ["features as of", showAge(said.features_at)],
      ["data version", said.data_version ?? "none"],
      ["model", one.lineage.model_digest.slice(0, 12)],
      ["release", one.lineage.code_version],
    ]));
    card.className = "card";
    if (one.refused) {
      const wrong = make("p", `version ${one.refused.version} is champion, and was refused: ${one.refused.reason}`);
      wrong.className = "wrong";
      card.append(wrong);
    }
    return card;
  }));
  find("model").replaceChildren(...said.models.map((one) => make("option", one.model)));
}

async function showChannels() {
  const said = await ask("v1/channels?limit=100");
  find("channel").replaceChildren(...said.channels.map((one) => {
    const option = make("option", `${one.title ?? one.channel_id} (${one.comment_count})`);
    option.value = one.channel_id;
    return option;
  }));
  if (said.channels.length) await showDays();
  else find("chart").replaceChildren(make("p", "no comments are scored yet"));
}

async function showDays() {
  const channel = encodeURIComponent(find("channel").value);
  const said = await ask(`v1/channels/${channel}/daily?days=90&model=${encodeURIComponent(find("model").value)}`);
  find("chart").replaceChildren(...drawDays(said.days));
}

function drawDays(days) {
  const labels = [...new Set(days.flatMap((day) => Object.keys(day.labels)))].sort();
  const width = 600, height = 180, step = width / days.length;
  const chart = draw("svg", { viewBox: `0 0 ${width} ${height + 20}`, role: "img", "aria-label": "Share of labels by day" });
  days.forEach((day, place) => {
    let top = 0;
    for (const label of labels) {
      const part = height * (day.labels[label] ?? 0) / Math.max(1, day.comment_count);
      const bar = draw("rect", {
        x: place * step, y: top, width: Math.max(1, step - 1), height: part, class: COLOURED.has(label) ? label : "other",
      });
      bar.append(draw("title", {}, `${day.published_on}: ${day.labels[label] ?? 0} of ${day.comment_count} ${label}`));
      chart.append(bar);
      top += part;
    }
  });
  chart.append(draw("text", { x: 0, y: height + 15 }, days[0].published_on));
  chart.append(draw("text", { x: width, y: height + 15, "text-anchor": "end" }, days[days.length - 1].published_on));
  const legend = make("div");
  legend.className = "legend";
  for (const label of labels) {
    const mark = draw("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" });
    mark.append(draw("rect", { width: 10, height: 10, class: COLOURED.has(label) ? label : "other" }));
    const total = days.reduce((sum, day) => sum + (day.labels[label] ?? 0), 0);
    legend.append(make("span", null, mark, document.createTextNode(` ${label} ${total}`)));
  }
  return [chart, legend];
}

async function showComment() {
  find("found").replaceChildren();
  const said = await ask(`v1/comments/${encodeURIComponent(find("comment").value.trim())}?explain=true`);
  const cards = make("div", null, ...said.scores.map((one) => showResult(one, one.model)));
  cards.className = "cards";
  find("found").replaceChildren(cards);
}

async function scoreText() {
  find("tried").replaceChildren();
  const asked = { texts: [{ text: find("text").value }], top_words: 8 };
  const models = [...find("model").options].map((one) => one.value);
  const answers = await Promise.all(models.map((model) => ask(`v1/${model}/score`, asked)));
  const cards = make("div", null, ...answers.map((one) => showResult(one.results[0], `${one.model} version ${one.model_version}`)));
  cards.className = "cards";
  find("tried").replaceChildren(cards);
}

function leave() {
  sessionStorage.removeItem(KEY);
  find("inside").hidden = true;
  find("enter").hidden = false;
}

async function enter() {
  await showModels();
  find("enter").hidden = true;
  find("inside").hidden = false;
  await showChannels();
}

find("enter").addEventListener("submit", attempt(async () => {
  sessionStorage.setItem(KEY, find("key").value.trim());
  find("key").value = "";
  await enter();
}));
find("search").addEventListener("submit", attempt(showComment));
find("try").addEventListener("submit", attempt(scoreText));
find("channel").addEventListener("change", attempt(showDays));
find("model").addEventListener("change", attempt(showDays));
find("leave").addEventListener("click", leave);
if (sessionStorage.getItem(KEY)) attempt(enter)();
