/** The four tiles: a figure of now, its last hour as a small line, and the same time yesterday. */

import type { Crosshair } from "./crosshair";
import { make, setHidden, setText } from "./dom";
import { type Figure, type FigureName, FIGURES, figures, type PastUsers } from "./figures";
import type { PastNow } from "./compare";
import type { Series } from "./live";
import { HOUR, MINUTE, type Points } from "./minutes";
import { HEIGHT, place, spark, WIDTH } from "./spark";
import type { Zone } from "./zone";

const SVG = "http://www.w3.org/2000/svg";
const OLD = 6 * MINUTE; // from which on a line does not end at the edge
const TITLES: Record<FigureName, [string, string]> = {
  users: ["Active users", "last 5 minutes"],
  events: ["Events per second", "now"],
  revenue: ["Revenue", "last 60 minutes"],
  errors: ["Error rate", "last 5 minutes"],
};

export class Tiles {
  private readonly tiles: Record<FigureName, Tile>;

  constructor(root: HTMLElement, private readonly crosshair: Crosshair) {
    this.tiles = {
      users: this.tile(root, "users"),
      events: this.tile(root, "events"),
      revenue: this.tile(root, "revenue"),
      errors: this.tile(root, "errors"),
    };
  }

  paint(series: Series, users: PastUsers, past: PastNow | null, zone: Zone): void {
    const shown = figures(series, users, past);
    // Lines end at the edge, unless what is newest is older than a few minutes.
    const last = series.time.at(-1) ?? series.asOf;
    const end = Math.max(newest(shown.events.points), last - OLD);
    for (const name of FIGURES) this.tiles[name].paint(shown[name], end, this.crosshair.time, zone);
  }

  private tile(root: HTMLElement, name: FigureName): Tile {
    const made = new Tile(root, name);
    made.svg.addEventListener("pointermove", (event) => {
      const box = made.svg.getBoundingClientRect();
      const at = made.start + ((event.clientX - box.left) / box.width) * (made.end - made.start);
      this.crosshair.set(Math.round(at / MINUTE) * MINUTE, this);
    });
    made.svg.addEventListener("pointerleave", () => this.crosshair.set(null, this));
    return made;
  }
}

class Tile {
  readonly svg: SVGSVGElement;
  start = 0; // of the line, epoch seconds
  end = 0;
  private readonly value: HTMLElement;
  private readonly about: HTMLElement;
  private readonly versus: HTMLElement;
  private readonly words: HTMLElement;
  private readonly area: SVGPathElement;
  private readonly line: SVGPathElement;
  private readonly cross: HTMLElement;

  constructor(parent: HTMLElement, name: FigureName) {
    const [title, period] = TITLES[name];
    const root = make(parent, "div", "tile");
    root.id = `tile-${name}`;
    const label = make(root, "div", "tile-label");
    make(label, "h2", "", title);
    make(label, "span", "", period);
    this.value = make(make(root, "p", "tile-value"), "span", "figure", "–");
    this.value.tabIndex = 0;
    this.about = make(root, "p", "about");
    this.about.id = `about-${name}`;
    this.about.setAttribute("role", "tooltip");
    this.value.setAttribute("aria-describedby", this.about.id);
    const versus = make(root, "p", "versus");
    this.versus = make(versus, "span", "", "\u00a0");
    this.versus.setAttribute("aria-hidden", "true");
    this.words = make(versus, "span", "sr");
    const box = make(root, "div", "spark");
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");
    this.area = this.path("area");
    this.line = this.path("line");
    box.append(this.svg);
    this.cross = make(box, "i", "cross");
    this.cross.hidden = true;
  }

  /** The line ends at its newest point, or at `until` when that is too old. */
  paint(figure: Figure, until: number, crosshair: number | null, zone: Zone): void {
    const last = newest(figure.points);
    const end = this.end = last > until - OLD - MINUTE ? Math.min(last, until) : until;
    const start = this.start = end - HOUR + MINUTE;
    setText(this.value, figure.value);
    setText(this.about, figure.about);
    const { line, area } = spark(figure.points, start, end);
    if (this.line.getAttribute("d") !== line) {
      this.line.setAttribute("d", line);
      this.area.setAttribute("d", area);
    }
    const point = crosshair === null ? undefined : figure.points.find(([time]) => time === crosshair);
    const inside = crosshair !== null && crosshair >= start && crosshair <= end;
    setHidden(this.cross, !inside);
    if (inside) this.cross.style.left = `${(place(crosshair, start, end) * 100).toFixed(2)}%`;
    setText(this.versus, point === undefined ? figure.versus : `${zone.clock(point[0])}  ${figure.at(point[1])}`);
    setText(this.words, `${figure.words}. ${inWords(figure)}`);
  }

  private path(name: string): SVGPathElement {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    this.svg.append(path);
    return path;
  }
}

/** What the small line shows, for those who do not see it. */
function inWords({ points, at }: Figure): string {
  if (points.length < 2) return "";
  const values = points.map(([, value]) => value);
  return `In the last hour from ${at(Math.min(...values))} to ${at(Math.max(...values))}.`;
}

function newest(points: Points): number {
  return points.at(-1)?.[0] ?? 0;
}
