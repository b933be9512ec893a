/** Before the first event: what to paste where, and what came of it. */

import { copy } from "./copy";
import { make, makeButton, setHidden, setPressed, setText } from "./dom";
import { paintEvents } from "./feed";
import type { RecentEvent } from "./live";
import { curl, type Places, scriptTag } from "./snippets";
import type { Zone } from "./zone";

const LINES = 6;

export class First {
  private way: "script" | "curl" = "script";
  private readonly code: HTMLElement;
  private readonly ways: Record<"script" | "curl", HTMLButtonElement>;
  private readonly where: HTMLElement;
  private readonly result: HTMLElement;
  private readonly list: HTMLUListElement;

  constructor(root: HTMLElement, private readonly places: () => Places) {
    make(root, "h2", "", "Send the first event").id = "first-title";
    this.where = make(root, "p", "where");
    const head = make(root, "div", "head");
    const ways = make(head, "div", "segments");
    ways.setAttribute("role", "group");
    ways.setAttribute("aria-label", "How");
    this.ways = {
      script: makeButton(ways, "", "Script tag", () => this.turn("script")),
      curl: makeButton(ways, "", "curl", () => this.turn("curl")),
    };
    const copying = makeButton(head, "copy", "Copy", () => void copy(copying, this.code));
    const pre = make(root, "pre");
    pre.tabIndex = 0;
    this.code = make(pre, "code");
    this.code.id = "snippet";
    this.result = make(root, "p", "result");
    this.list = make(root, "ul", "events debug");
    this.turn("script");
  }

  /** What came of the newest event is also returned, to be read aloud. */
  paint(recent: readonly RecentEvent[], project: string, currency: string, zone: Zone): string {
    const { key } = this.places();
    setText(this.where, key === null
      ? `Put this into your pages, with a write key of ${project}: python -m serving.keys FILE write ${project}`
      : "Put this into your pages, or send one by hand. It appears here within seconds, accepted or not.");
    setText(this.code, this.text());
    const newest = [...recent].reverse().slice(0, LINES);
    const result = said(recent);
    setText(this.result, result);
    setHidden(this.list, newest.length === 0);
    paintEvents(this.list, newest, true, currency, zone);
    return result;
  }

  private turn(way: "script" | "curl"): void {
    this.way = way;
    setPressed(this.ways.script, way === "script");
    setPressed(this.ways.curl, way === "curl");
    setText(this.code, this.text());
  }

  private text(): string {
    return this.way === "script" ? scriptTag(this.places()) : curl(this.places());
  }
}

function said(recent: readonly RecentEvent[]): string {
  const last = recent.at(-1);
  if (last === undefined) return "Waiting for the first event…";
  if (last.accepted && last.device === "bot") return `✓ A ${last.type} was accepted, of a bot: bots are counted apart.`;
  if (last.accepted) return `✓ A ${last.type} was accepted; it is being counted.`;
  return `✕ An event was rejected: ${last.message} (${last.code})`;
}
