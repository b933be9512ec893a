/** The chart of up to 24 hours: uPlot with one metric, its minutes in progress dashed. */

import { clock, day, integer, money, short, shortMoney } from "./format.js";
import { MINUTE, split } from "./state.js";

const { uPlot } = window;

export const METRICS = {
  events: "Events",
  page_views: "Page views",
  purchases: "Purchases",
  errors: "Errors",
  revenue: "Revenue",
};

const MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360].map((minutes) => minutes * 60);
const WORDS = { none: "no data", partial: "in progress", final: "", revised: "revised" };
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

export class Chart {
  constructor(root, readout) {
    this.root = root;
    this.readout = readout;
    this.metric = "events";
    this.hours = 24;
    this.from = 0; // where in the state the drawn part begins
    this.state = null;
    this.plot = null;
    this.zoomed = false;
    this.described = "";
    this.colours = readColours(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colours = readColours(root);
      if (this.plot !== null) this.plot.redraw(true, true);
    });
    new ResizeObserver(() => {
      if (this.plot !== null) this.plot.setSize(size(this.root));
    }).observe(root);
  }

  /** Draw the last hours of a metric of a state. A zoom stays as it is, until the hours change. */
  paint(state, metric, hours) {
    if (hours !== this.hours) this.zoomed = false;
    this.state = state;
    this.metric = metric;
    this.hours = hours;
    this.from = Math.max(0, state.time.length - 1 - (hours * 3600) / MINUTE);
    this.colours = readColours(this.root); // they also say whether the values are current
    const { complete, progress } = split(state, state[metric]);
    const data = [state.time, complete, progress].map((column) => column.slice(this.from));
    if (this.plot === null) {
      this.plot = new uPlot(this.options(), data, this.root);
    } else if (this.zoomed) {
      const { min, max } = this.plot.scales.x;
      this.plot.batch(() => {
        this.plot.setData(data, false);
        this.plot.setScale("x", { min, max });
      });
    } else {
      this.plot.setData(data);
    }
    this.describe();
    this.showReadout();
  }

  options() {
    const stroke = () => this.colours.accent;
    const axis = {
      stroke: () => this.colours.muted,
      font: FONT,
      ticks: { show: false },
      grid: { stroke: () => this.colours.grid, width: 1 },
    };
    return {
      ...size(this.root),
      legend: { show: false },
      padding: [8, 18, 0, 0],
      cursor: {
        y: false,
        points: { size: 7, width: 2, fill: () => this.colours.panel, stroke },
        drag: { x: true, y: false },
      },
      scales: { x: { time: true }, y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [
        {
          ...axis, size: 28, gap: 6, space: 64, incrs: MINUTES,
          values: (_plot, at) => at.map(hour),
          grid: { show: false },
          ticks: { show: true, size: 4, stroke: () => this.colours.line, width: 1 },
        },
        {
          ...axis, size: 54, gap: 8, space: 44,
          values: (_plot, at) => at.map((value) => this.brief(value)),
        },
      ],
      series: [
        {},
        { stroke, width: 1.25, fill: () => this.colours.wash, points: { show: false } },
        { stroke, width: 1.25, dash: [3, 3], points: { show: false } },
      ],
      hooks: {
        setCursor: [() => this.showReadout()],
        setScale: [(plot, name) => {
          if (name !== "x") return;
          const time = plot.data[0];
          this.zoomed = plot.scales.x.min > time[0] || plot.scales.x.max < time.at(-1);
        }],
      },
    };
  }

  /** The line above the chart: the minute under the cursor, else the newest complete one. */
  showReadout() {
    if (this.plot === null || this.state === null) return;
    const { state, plot } = this;
    let at = plot.cursor.idx;
    if (at === null || at === undefined || plot.cursor.left < 0) at = lastIndex(plot.data[1]);
    if (at >= 0) at += this.from;
    if (at < 0 || at >= state.time.length) {
      this.readout.replaceChildren();
      return;
    }
    const value = document.createElement("b");
    value.textContent = this.full(state[this.metric][at]);
    const word = WORDS[state.status[at]];
    this.readout.replaceChildren(
      `${clock(state.time[at])}\u2002`, value, " per minute", word ? ` · ${word}` : "",
    );
  }

  /** What the picture says, for those who do not see it; renewed once a minute at most. */
  describe() {
    const { state, metric } = this;
    const values = this.plot.data[1].filter((value) => value !== null);
    const until = state.time.at(-1);
    const key = `${metric} ${this.hours} ${until} ${JSON.stringify(state.filter)}`;
    if (key === this.described) return;
    this.described = key;
    const span = this.hours === 1 ? "last hour" : `last ${this.hours} hours`;
    let text = "no data";
    if (values.length > 0) {
      const highest = this.full(values.reduce((a, b) => Math.max(a, b)));
      text = `${this.full(values.at(-1))} in the last complete minute, at most ${highest}`;
    }
    this.root.setAttribute("aria-label", `${METRICS[metric]} per minute, ${span}: ${text}.`);
  }

  brief(value) {
    return this.metric === "revenue" ? shortMoney(value, this.state.currency) : short(value);
  }

  full(value) {
    return this.metric === "revenue" ? money(value, this.state.currency) : integer(value);
  }
}

function hour(seconds) {
  const text = clock(seconds);
  return text === "00:00" ? day(seconds) : text;
}

function size(root) {
  return { width: Math.max(200, root.clientWidth), height: Math.max(160, root.clientHeight) };
}

function lastIndex(values) {
  let at = values.length - 1;
  while (at >= 0 && values[at] === null) at -= 1;
  return at;
}

function readColours(root) {
  const style = getComputedStyle(root);
  const names = ["accent", "muted", "grid", "line", "wash", "panel"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
