/** The dashboard: configuration, key, filter and subscription tied to the parts that paint. */

import { Chart, METRICS } from "./chart.js";
import { clock, clockSeconds, country, integer, money } from "./format.js";
import { Ledger } from "./ledger.js";
import { Live } from "./live.js";
import { applyDelta, COUNTS, fittingHours, fromSnapshot, hasEvents, sameFilter } from "./state.js";
import { Tiles } from "./tiles.js";

const KEY_NAME = "streamlens.read-key";
const COUNTRIES_EVERY = 60_000; // ms
const USERS_EVERY = 30_000;
const LEDGER_EVERY = 10_000;
const TABLE_MINUTES = 60;
const SPANS = [1, 6, 24]; // hours
const SAID = { // without the seconds: they are not for reading aloud
  connecting: "connecting", live: "live", stale: "no fresh numbers",
  reconnecting: "connection lost", offline: "offline", denied: "not allowed",
};

const by = (id) => document.getElementById(id);
const tiles = new Tiles(by("tiles"));
const chart = new Chart(by("plot"), by("readout"));
const ledger = new Ledger(by("ledger"), () => get("/v1/ledger"));
const live = new Live({
  url: `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/v1/live`,
  ticketUrl: "/v1/tickets",
  onState: setConnection,
  onMessage: receive,
  onError: showError,
});

let config = { project: null, read_key: null, write_key: null, collector_url: location.origin };
let key = null;
let state = null;
let connection = { state: "connecting" };
let filter = {};
let fixed = {}; // the part of the filter that the key has for all it opens
let metric = "events";
let hours = null; // null: as many as there is data for
let frame = 0;

start();

async function start() {
  readAddress();
  bind();
  setInterval(showConnection, 500);
  for (let wait = 1_000; ; wait = Math.min(wait * 2, 30_000)) {
    try {
      const response = await fetch("/v1/config");
      if (response.ok) {
        config = await response.json();
        break;
      }
    } catch {
      // the server is not there (yet)
    }
    setConnection({ state: "reconnecting", until: Date.now() + wait });
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  const known = sharedKey() ?? session("get") ?? config.read_key;
  if (known) open(known);
  else ask("");
  setInterval(loadCountries, COUNTRIES_EVERY);
  setInterval(loadUsers, USERS_EVERY);
  setInterval(loadLedger, LEDGER_EVERY);
}

function bind() {
  for (const [name, title] of Object.entries(METRICS)) by("metric").add(new Option(title, name));
  by("metric").value = metric;
  by("metric").addEventListener("change", (event) => {
    metric = event.target.value;
    writeAddress();
    schedule();
  });
  by("hours").addEventListener("change", (event) => {
    hours = Number(event.target.value);
    writeAddress();
    schedule();
  });
  by("country").addEventListener("change", (event) => {
    filter = event.target.value === "" ? fixed : { ...fixed, country: event.target.value };
    notice("");
    writeAddress();
    live.subscribe(filter);
    loadUsers();
  });
  by("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const entered = by("ask-key").value.trim();
    if (entered === "") return;
    session("set", entered);
    by("ask-key").value = "";
    open(entered);
  });
  by("copy").addEventListener("click", copySnippet);
  by("details").addEventListener("toggle", schedule);
  document.addEventListener("visibilitychange", schedule);
  if (filter.country !== undefined) fillCountries([filter.country]);
}

/** Show the dashboard with this key, in the part of the numbers that it opens. */
async function open(withKey) {
  key = withKey;
  state = null;
  fixed = await fixedFilter();
  if (key !== withKey) return;
  filter = { ...filter, ...fixed };
  if (fixed.country !== undefined) fillCountries([fixed.country]);
  by("country").disabled = fixed.country !== undefined;
  by("ledger").hidden = Object.keys(fixed).length > 0; // it is of the whole project
  by("ask").hidden = true;
  by("dashboard").hidden = false;
  by("country").parentElement.hidden = false;
  notice("");
  live.start(key, filter);
  loadCountries();
  loadUsers();
  loadLedger();
}

/** What the key is limited to; a key that opens nothing is told of by the live connection. */
async function fixedFilter() {
  try {
    return (await get("/v1/access"))?.filter ?? {};
  } catch {
    return {};
  }
}

/** Ask for a read key, saying why the last one did not do. */
function ask(why) {
  key = null;
  session("remove");
  by("dashboard").hidden = true;
  by("country").parentElement.hidden = true;
  by("ask").hidden = false;
  notice(why);
  by("ask-key").focus();
  setConnection({ state: "denied" });
}

function receive(message) {
  if (!sameFilter(message.filter ?? filter, filter)) return;
  if (message.type === "snapshot") state = fromSnapshot(message);
  else if (message.type === "delta" && state !== null && sameFilter(state.filter ?? {}, filter)) {
    state = applyDelta(state, message);
  } else return;
  tiles.sample(state);
  schedule();
}

function showError(error) {
  if (connection.state === "denied") ask(error.message ?? "This key may not read.");
  else notice(`${error.message ?? "The server refused."} (${error.code})`);
}

/** Paint in the next frame, once; never while nobody looks. */
function schedule() {
  if (frame !== 0 || document.hidden) return;
  frame = requestAnimationFrame(() => {
    frame = 0;
    paint();
  });
}

function paint() {
  showConnection();
  if (state === null || by("dashboard").hidden) return;
  by("project").textContent = state.project;
  by("as-of").textContent = `As of ${clockSeconds(state.as_of)}`;
  tiles.paint(state);
  const shown = hours ?? fittingHours(state, SPANS);
  if (by("hours").value !== String(shown)) by("hours").value = String(shown);
  chart.paint(state, metric, shown);
  paintJob();
  paintEmpty();
  if (by("details").open) paintTable();
}

function paintJob() {
  const { alive, last_beat: beat, log_lost_since: lost } = state.job;
  by("job").hidden = alive && lost === null;
  if (!alive) setText(by("job"), beat === null ? "pipeline silent" : `pipeline silent since ${clock(beat)}`);
  else if (lost !== null) setText(by("job"), `no answer from the event log since ${clock(lost)}`);
}

function paintEmpty() {
  const empty = !hasEvents(state);
  by("empty").hidden = !empty;
  if (!empty) return;
  const of = state.filter?.country;
  const where = of === undefined ? "" : ` from ${country(of)}`;
  setText(by("empty-title"), `No events${where} in the last 24 hours`);
  by("first-event").hidden = of !== undefined;
  setText(by("snippet"), snippet());
}

function snippet() {
  return [
    `curl -X POST ${config.collector_url.replace(/\/$/, "")}/v1/events \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -H 'X-Write-Key: ${config.write_key ?? "YOUR-WRITE-KEY"}' \\`,
    `  -d '{"events":[{"type":"page_view","user_id":"me","ts":'$(date +%s)'000}]}'`,
  ].join("\n");
}

async function copySnippet() {
  const button = by("copy");
  try {
    await navigator.clipboard.writeText(by("snippet").textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(by("snippet"));
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2_000);
}

function paintTable() {
  const body = by("table").tBodies[0];
  const from = Math.max(0, state.time.length - TABLE_MINUTES);
  while (body.rows.length < state.time.length - from) addRow(body);
  while (body.rows.length > state.time.length - from) body.deleteRow(-1);
  for (let at = state.time.length - 1, row = 0; at >= from; at -= 1, row += 1) {
    const { cells } = body.rows[row];
    body.rows[row].className = state.status[at];
    setText(cells[0], clock(state.time[at]));
    COUNTS.forEach((name, column) => {
      const value = state[name][at];
      setText(cells[column + 1], name === "revenue" ? money(value, state.currency) : integer(value));
    });
    setText(cells[COUNTS.length + 1], state.status[at]);
  }
}

function addRow(body) {
  const row = body.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  row.append(head);
  for (let column = 0; column <= COUNTS.length; column += 1) row.insertCell();
}

function setConnection(next) {
  const changed = next.state !== connection.state;
  connection = next;
  if (next.state === "live") return; // shows with the values of the message, in paint()
  showConnection();
  if (changed) schedule(); // the colours change
}

function showConnection() {
  if (connection.state === "live" && state === null) return;
  document.body.dataset.state = connection.state;
  setText(by("connection-text"), connectionText());
  setText(by("connection-said"), SAID[connection.state]);
}

function connectionText() {
  switch (connection.state) {
    case "live":
      return connection.every === undefined ? "live" : `live, every ${connection.every / 1000} s`;
    case "stale":
      return `stale since ${clock(connection.since / 1000)}`;
    case "reconnecting": {
      const seconds = Math.ceil((connection.until - Date.now()) / 1000);
      return seconds > 0 ? `reconnecting in ${seconds} s` : "reconnecting";
    }
    case "offline":
      return "offline";
    case "denied":
      return "not allowed";
    default:
      return "connecting";
  }
}

/** The countries of the last 24 hours, most events first. */
async function loadCountries() {
  if (key === null || document.hidden) return;
  try {
    const answer = await metrics("dimensions=country&granularity=total&metrics=events&start=-24h");
    if (answer === null) return;
    const found = answer.series
      .map(({ dimensions, events }) => [dimensions.country, events.reduce((sum, n) => sum + (n ?? 0), 0)])
      .filter(([code]) => code !== "other")
      .sort((a, b) => b[1] - a[1]);
    fillCountries(found.map(([code]) => code));
  } catch {
    // the list of a minute ago still does
  }
}

/** Users of each minute of the last hour, for the tile's line; kept for all countries together. */
async function loadUsers() {
  if (filter.country !== undefined) tiles.users = [];
  if (key === null || document.hidden || filter.country !== undefined) return;
  try {
    const answer = await metrics("granularity=1m&metrics=unique_users&start=-65m");
    const counts = answer?.series[0]?.unique_users;
    if (!Array.isArray(counts) || filter.country !== undefined) return;
    tiles.users = answer.time
      .map((time, at) => [time, counts[at]])
      .filter((_, at) => ["final", "revised"].includes(answer.status?.[at]));
    schedule();
  } catch {
    // the line is then drawn of what this page saw
  }
}

async function loadLedger() {
  if (key === null || document.hidden || by("ledger").hidden) return;
  try {
    await ledger.refresh();
  } catch {
    // what it said before still stands
  }
}

function metrics(query) {
  return get(`/v1/metrics?${query}`);
}

async function get(path) {
  const response = await fetch(path, { headers: { "X-Read-Key": key } });
  return response.ok ? response.json() : null;
}

function fillCountries(codes) {
  const select = by("country");
  const chosen = filter.country ?? "";
  if (chosen !== "" && !codes.includes(chosen)) codes.push(chosen);
  const shown = [...select.options].slice(1).map((option) => option.value);
  if (shown.join() === codes.join()) return;
  select.replaceChildren(new Option("All countries", ""), ...codes.map((code) => new Option(country(code), code)));
  select.value = chosen;
}

function notice(text) {
  by("notice").hidden = text === "";
  setText(by("notice"), text);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A share link has its key behind the #, where no server and no log sees it. */
function sharedKey() {
  return new URLSearchParams(location.hash.slice(1)).get("share");
}

/** The filter and the metric stand in the address, so that a view can be passed on. */
function readAddress() {
  const query = new URLSearchParams(location.search);
  const wanted = query.get("country");
  if (wanted !== null && /^[A-Z]{2}$/.test(wanted)) filter = { country: wanted };
  const span = Number(query.get("hours"));
  if (SPANS.includes(span)) hours = span;
  if (Object.hasOwn(METRICS, query.get("metric") ?? "")) metric = query.get("metric");
}

function writeAddress() {
  const query = new URLSearchParams(Object.entries(filter).filter(([name]) => fixed[name] === undefined));
  if (metric !== "events") query.set("metric", metric);
  if (hours !== null) query.set("hours", String(hours));
  history.replaceState(null, "", (`${query}` === "" ? location.pathname : `?${query}`) + location.hash);
}

function session(action, value = "") {
  try {
    if (action === "set") sessionStorage.setItem(KEY_NAME, value);
    if (action === "remove") sessionStorage.removeItem(KEY_NAME);
    return sessionStorage.getItem(KEY_NAME);
  } catch {
    return null;
  }
}
