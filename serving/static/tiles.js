/** The four tiles: a figure of now, and its last hour as a small line without axes. */

import { integer, money, percent, rate } from "./format.js";
import { lastHour, MINUTE } from "./state.js";

const SVG = "http://www.w3.org/2000/svg";
const HOUR = 3600;
const WIDTH = 300;
const HEIGHT = 40;
const SAMPLES_KEY = "streamlens.active-users";

export class Tiles {
  constructor(root) {
    this.active = tile(root, "Active users", "last 5 minutes");
    this.events = tile(root, "Events per second", "now");
    this.revenue = tile(root, "Revenue", "last hour");
    this.errors = tile(root, "Error rate", "last 5 minutes");
    this.users = []; // [time, users of that minute], when the server has them
    this.samples = []; // else [time, active users], as seen by this page
    this.samplesOf = "";
  }

  /** Take note of the active users of a message, painted or not: one value per 5 seconds. */
  sample(state) {
    const of = `${state.project} ${JSON.stringify(state.filter)}`;
    if (of !== this.samplesOf) {
      this.samplesOf = of;
      this.samples = restore(of);
    }
    if (state.now.active_users === null) return;
    const time = Math.floor(state.as_of / 5) * 5;
    const last = this.samples.at(-1);
    if (last !== undefined && last[0] === time) last[1] = state.now.active_users;
    else this.samples.push([time, state.now.active_users]);
    this.samples = this.samples.filter(([at]) => at > time - HOUR);
    store(of, this.samples);
  }

  paint(state) {
    const { now } = state;
    const error = now.active_users_error;
    this.active.value.data = integer(now.active_users);
    this.active.small.textContent = error >= 0.5 ? `± ${integer(Math.ceil(error))}` : "";
    const history = this.users.length > 1;
    this.active.root.title = explain(now, history);
    this.events.value.data = rate(now.events_per_second);
    this.revenue.value.data = money(now.revenue_per_hour, state.currency);
    this.errors.value.data = percent(now.error_rate);

    const perMinute = lastHour(state, state.events);
    const errors = new Map(lastHour(state, state.errors));
    const shares = perMinute
      .filter(([, count]) => count > 0)
      .map(([time, count]) => [time, (errors.get(time) ?? 0) / count]);
    // The line ends at the edge, unless what is newest is older than a few minutes.
    const last = state.time.at(-1) ?? state.as_of;
    const end = Math.max(perMinute.at(-1)?.[0] ?? 0, last - 5 * MINUTE);
    if (history) {
      const newest = Math.max(this.users.at(-1)[0], last - 5 * MINUTE);
      line(this.active, this.users, newest - HOUR + MINUTE, newest);
    } else {
      line(this.active, this.samples, this.samples[0]?.[0] ?? 0, this.samples.at(-1)?.[0] ?? 0);
    }
    line(this.events, perMinute, end - HOUR + MINUTE, end);
    line(this.revenue, lastHour(state, state.revenue), end - HOUR + MINUTE, end);
    line(this.errors, shares, end - HOUR + MINUTE, end);
  }
}

/** The tooltip of the active users: how exact they are, and what the line is. */
function explain(now, history) {
  if (now.active_users === null) return "Not counted for this filter.";
  const line_ = history
    ? "The line: users of each minute of the last hour."
    : "The line begins when this page was opened.";
  if (!(now.active_users_error > 0)) return line_;
  const figure = `${integer(now.active_users)} ± ${rate(now.active_users_error)}`;
  return `Estimated: ${figure} (one standard error). ${line_}`;
}

function tile(parent, name, period) {
  const root = element(parent, "div", "tile");
  const label = element(root, "div", "tile-label");
  element(label, "h2").textContent = name;
  element(label, "span").textContent = period;
  const figure = element(root, "p", "tile-value");
  const value = document.createTextNode("–");
  element(figure, "span").append(value);
  const small = element(figure, "small");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const paths = ["area", "line"].map((name_) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name_);
    svg.append(path);
    return path;
  });
  root.append(svg);
  return { root, value, small, area: paths[0], line: paths[1] };
}

/** Draw points over [start, end]. */
function line(to, points, start, end) {
  const shown = points.filter(([time]) => time >= start);
  if (shown.length < 2) {
    to.line.setAttribute("d", "");
    to.area.setAttribute("d", "");
    return;
  }
  const values = shown.map(([, value]) => value);
  const highest = Math.max(...values);
  // The range is never narrower than 40 % of the highest value: noise should look like noise.
  const lowest = Math.max(0, Math.min(Math.min(...values), highest * 0.6) - highest * 0.08);
  const scale = (HEIGHT - 5) / (highest - lowest || 1);
  const shape = shown.map(([time, value]) => {
    const x = ((time - start) / (end - start || 1)) * WIDTH;
    const y = HEIGHT - 2 - (value - lowest) * scale;
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const firstX = shape[0].split(" ")[0];
  const lastX = shape.at(-1).split(" ")[0];
  to.line.setAttribute("d", `M${shape.join("L")}`);
  to.area.setAttribute("d", `M${firstX} ${HEIGHT}L${shape.join("L")}L${lastX} ${HEIGHT}Z`);
}

function element(parent, name, className = "") {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  parent.append(made);
  return made;
}

function restore(of) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(SAMPLES_KEY));
    return kept !== null && kept.of === of ? kept.samples : [];
  } catch {
    return [];
  }
}

function store(of, samples) {
  try {
    sessionStorage.setItem(SAMPLES_KEY, JSON.stringify({ of, samples }));
  } catch {
    // no storage: the line begins anew when the page is opened again
  }
}
