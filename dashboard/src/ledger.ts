/** The ledger's panel: one line that says whether the last hour balances, and where each event went. */

import type { Ask } from "./api";
import { make, setText } from "./dom";
import { integer } from "./format";
import type { Zone } from "./zone";

const OPEN_EVERY = 10_000; // ms
const CLOSED_EVERY = 300_000; // ms: for the line

const OUTCOMES: Record<"counted" | "bot" | "duplicate" | "too_late", string> = { // of what was decoded, as people say it
  counted: "Counted", bot: "Counted as bots", duplicate: "Duplicates left out", too_late: "Too late to count",
};

interface Difference {
  minute: number;
  measure: string;
  windows: number;
  raw_events: number;
  standing: boolean; // others are late events on their way
}

export interface Balance {
  total: Record<keyof typeof OUTCOMES | "received" | "accepted" | "undecoded" | "in_flight" | "unreported" | "unexplained", number>
    & { rejected: Record<string, number>; dead: Record<string, number> };
  paths: { compared: number; differences: Difference[] };
  stored: { other: Record<string, number[]> };
}

export class Ledger {
  private readonly line: HTMLElement;
  private readonly rows: HTMLElement;
  private next = 0; // ms
  private generation = 0; // of the key

  constructor(private readonly details: HTMLDetailsElement, private readonly ask: Ask, changed: () => void) {
    this.line = details.querySelector<HTMLElement>("[data-line]") ?? make(details, "span");
    this.rows = details.querySelector("tbody") ?? make(details, "tbody");
    details.addEventListener("toggle", () => {
      if (details.open) this.next = 0;
      changed();
    });
  }

  /** Ask again if it is time and the panel is there; `now` in ms. */
  want(now: number, zone: Zone): void {
    if (now < this.next || this.details.offsetParent === null) return;
    this.next = now + (this.details.open ? OPEN_EVERY : CLOSED_EVERY);
    void this.load(zone, this.generation);
  }

  /** Another key. */
  forget(): void {
    this.generation += 1;
    this.next = 0;
    setText(this.line, "");
    this.rows.replaceChildren();
  }

  private async load(zone: Zone, generation: number): Promise<void> {
    const found = await this.ask<Balance>("/v1/ledger");
    if (!found.ok || generation !== this.generation) return; // what it said before still stands
    const wrong = differences(found.body);
    this.line.parentElement?.classList.toggle("wrong", wrong > 0);
    setText(this.line, sentence(found.body, wrong));
    this.rows.replaceChildren(...lines(found.body, zone).map(([title, count]) => row(title, count)));
  }
}

function differences({ total, paths }: Balance): number {
  return paths.differences.filter(({ standing }) => standing).length + total.unexplained;
}

export function sentence(balance: Balance, wrong: number): string {
  const { total, paths } = balance;
  const parts = [
    `${integer(total.received)} received`, `${integer(total.accepted)} accepted`,
    `${integer(sum(Object.values(total.rejected)))} rejected`, `${integer(total.in_flight)} in flight`,
  ];
  if (wrong > 0) parts.push(`${integer(wrong)} differences`);
  else if (paths.compared > 0) parts.push(`both counts agree on ${integer(paths.compared)} minutes`);
  return parts.join(" · ");
}

function lines({ total, paths, stored }: Balance, zone: Zone): [string, number][] {
  const outcomes = Object.keys(OUTCOMES) as (keyof typeof OUTCOMES)[];
  return [
    ["Received", total.received],
    ["Accepted", total.accepted],
    ...entries(total.rejected).map(([reason, count]): [string, number] => [`Rejected: ${reason}`, count]),
    ...outcomes.map((name): [string, number] => [OUTCOMES[name], total[name]]),
    ...entries(total.dead).map(([reason, count]): [string, number] => [`In dead letters: ${reason}`, count]),
    ["Accepted, only in dead letters", total.undecoded],
    ["In flight", total.in_flight],
    ["Decoded, acceptance not on record", total.unreported],
    ...Object.entries(stored.other)
      .map(([names, counts]): [string, number] => [`In no series by ${names.replaceAll(",", ", ")} (too many)`, sum(counts)])
      .filter(([, count]) => count > 0),
    ...paths.differences.filter(({ standing }) => standing).map((each): [string, number] => [
      `${zone.clock(each.minute)} ${each.measure}: windows ${integer(each.windows)}, raw events`, each.raw_events,
    ]),
  ];
}

function row(title: string, count: number): HTMLTableRowElement {
  const line = document.createElement("tr");
  make(line, "th", "", title).scope = "row";
  make(line, "td", "", integer(count));
  return line;
}

function entries(counts: Record<string, number>): [string, number][] {
  return Object.entries(counts);
}

function sum(numbers: number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}
