/** The largest values of one dimension, with the share of each as a bar. */

import { make, setHidden, setPressed, setText } from "./dom";
import { integer, share, short } from "./format";
import type { Series, Top } from "./live";
import { column, HOUR } from "./minutes";

export const OTHER = "other"; // the rest, as the service calls it
export const LINES = 8; // that have room in a panel

export const TYPES = ["page_views", "clicks", "purchases", "errors"] as const;

export interface RankRow {
  value: string;
  count: number;
  share: number | null;
}

/** The rows of `top`; none before it is known. */
export function rowsOf(top: Top | undefined): RankRow[] {
  if (top === undefined) return [];
  return top.values.map((value, at) => ({ value, count: top.events[at] ?? 0, share: top.share[at] ?? null }));
}

/** Events of the last hour by what they are, and each one's share of all. Custom types are in none. */
export function typeRows(series: Series): RankRow[] {
  const from = (series.time.at(-1) ?? 0) - HOUR;
  const total = (metric: "events" | (typeof TYPES)[number]) => column(series, metric)
    .reduce((all, each, at) => ((series.time[at] ?? 0) > from ? all + each : all), 0);
  const all = total("events");
  if (all === 0) return [];
  return TYPES.map((value) => ({ value, count: total(value), share: total(value) / all }));
}

/**
 * The rows that are shown: the first ones, and the rest as one. While `held` (somebody points at
 * them) those that were there keep their places. Pure.
 */
export function arranged(rows: readonly RankRow[], lines: number, held: readonly string[] | null): RankRow[] {
  const named = rows.filter(({ value }) => value !== OTHER);
  const place = new Map(held?.map((value, at) => [value, at]) ?? []);
  const sorted = held === null ? named : [...named].sort((a, b) => (place.get(a.value) ?? lines) - (place.get(b.value) ?? lines));
  const rest = rows.filter(({ value, count }) => value === OTHER && count > 0);
  if (sorted.length + rest.length <= lines) return [...sorted, ...rest];
  const shown = sorted.slice(0, lines - 1);
  const others = [...sorted.slice(lines - 1), ...rest];
  const shares = others.map((row) => row.share ?? 0);
  return [...shown, { value: OTHER, count: sum(others.map(({ count }) => count)), share: sum(shares) }];
}

interface Line {
  item: HTMLLIElement;
  button: HTMLButtonElement;
  bar: HTMLElement;
  name: HTMLElement;
  count: HTMLElement;
  share: HTMLElement;
}

export class Ranking {
  private readonly root: HTMLElement;
  private readonly lines: Line[] = [];
  private readonly said: HTMLElement;
  private values: string[] = []; // as shown
  private pointed = false;

  /** `pick` is told the value of a row that is pressed. */
  constructor(
    parent: HTMLElement, title: string, readonly id: string,
    private readonly say: (value: string) => string, private readonly pick: (value: string) => void,
    private readonly most = LINES,
  ) {
    this.root = make(parent, "section", "ranking");
    this.root.id = `top-${id}`;
    const head = make(this.root, "div", "head");
    const heading = make(head, "h2", "", title);
    heading.id = `top-${id}-title`;
    make(head, "span", "period", "events, last hour");
    this.root.setAttribute("aria-labelledby", heading.id);
    const list = make(this.root, "ol");
    for (let at = 0; at < most; at += 1) this.lines.push(this.line(list, at));
    this.said = make(this.root, "p", "nothing");
    this.root.addEventListener("pointerenter", () => { this.pointed = true; });
    this.root.addEventListener("pointerleave", () => { this.pointed = false; });
  }

  /** `chosen` is the value that is filtered by, `fixed` says that it is the key's; `said` stands where no rows are. */
  paint(rows: readonly RankRow[], chosen: string | null, fixed: boolean, said: string): void {
    const held = this.pointed || this.root.contains(document.activeElement) ? this.values : null;
    const shown = arranged(rows, this.most, held);
    this.values = shown.map(({ value }) => value);
    this.lines.forEach((line, at) => {
      const row = shown[at];
      line.item.classList.toggle("blank", row === undefined);
      line.button.disabled = row === undefined || row.value === OTHER || fixed;
      if (row === undefined) return;
      const name = row.value === OTHER ? "other" : this.say(row.value);
      setText(line.name, name);
      if (line.name.title !== name) line.name.title = name;
      setText(line.count, row.count < 100_000 ? integer(row.count) : short(row.count));
      setText(line.share, share(row.share));
      line.bar.style.transform = `scaleX(${(row.share ?? 0).toFixed(4)})`;
      setPressed(line.button, row.value === chosen);
      line.item.classList.toggle("rest", row.value === OTHER);
    });
    setHidden(this.said, shown.length > 0);
    setText(this.said, said);
  }

  private line(list: HTMLElement, at: number): Line {
    const item = make(list, "li", "blank");
    const button = make(item, "button");
    button.type = "button";
    button.addEventListener("click", () => {
      const value = this.values[at];
      if (value !== undefined && value !== OTHER) this.pick(value);
    });
    const bar = make(button, "i", "bar");
    return { item, button, bar, name: make(button, "span", "name"), count: make(button, "b"), share: make(button, "span", "share") };
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}
