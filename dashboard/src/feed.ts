/** The live events: as people read them, or, for debugging, whether each was accepted and why not. */

import { make, makeButton, setHidden, setPressed, setText } from "./dom";
import { FeedBuffer, wanted } from "./feed_buffer";
import { DASH, money } from "./format";
import type { RecentEvent } from "./live";
import { pagePath } from "./pages";
import type { Zone } from "./zone";

type Tab = "events" | "debug";

export class Feed {
  readonly buffer = new FeedBuffer();
  private tab: Tab = "events";
  private rejectedOnly = false;
  private page: string | null = null;
  private readonly tabs: Record<Tab, HTMLButtonElement>;
  private readonly pause: HTMLButtonElement;
  private readonly only: HTMLButtonElement;
  private readonly chip: HTMLButtonElement;
  private readonly list: HTMLUListElement;
  private readonly empty: HTMLElement;

  /** `changed` is called when something else is to be shown. */
  constructor(private readonly root: HTMLElement, private readonly changed: () => void) {
    const head = make(root, "div", "head");
    make(head, "h2", "", "Live events").id = "feed-title";
    const tabs = make(head, "div", "segments");
    tabs.setAttribute("role", "group");
    tabs.setAttribute("aria-label", "What is shown of each event");
    this.tabs = {
      events: makeButton(tabs, "", "Events", () => this.turn("events")),
      debug: makeButton(tabs, "", "Debug", () => this.turn("debug")),
    };
    this.only = makeButton(head, "", "Rejected", () => {
      this.rejectedOnly = !this.rejectedOnly;
      this.changed();
    });
    this.chip = makeButton(head, "chip", "", () => this.showPage(null));
    this.pause = makeButton(head, "pause", "Pause", () => this.turnPause());
    this.pause.id = "pause";
    const box = make(root, "div", "scroll");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-labelledby", "feed-title");
    this.list = make(box, "ul", "events");
    this.empty = make(box, "p", "nothing");
  }

  /** Only events of one page (null: of any). */
  showPage(page: string | null): void {
    this.page = page;
    if (page !== null) this.tab = "events";
    this.changed();
  }

  get shownPage(): string | null {
    return this.page;
  }

  turnPause(paused = !this.buffer.paused): void {
    if (paused) this.buffer.pause();
    else this.buffer.resume();
    this.changed();
  }

  paint(currency: string, zone: Zone): void {
    const { buffer, tab } = this;
    setPressed(this.tabs.events, tab === "events");
    setPressed(this.tabs.debug, tab === "debug");
    setHidden(this.only, tab !== "debug");
    setPressed(this.only, this.rejectedOnly);
    setHidden(this.chip, this.page === null || tab === "debug");
    setText(this.chip, this.page === null ? "" : `${pagePath(this.page)} ×`);
    this.chip.setAttribute("aria-label", `Events of ${this.page ?? ""}; remove`);
    setText(this.pause, buffer.paused ? ["Resume", buffer.waiting].filter(Boolean).join(" · ") : "Pause");
    setPressed(this.pause, buffer.paused);
    this.root.dataset["tab"] = tab;
    const debug = tab === "debug";
    const events = wanted(buffer.shown, {
      rejected: debug && this.rejectedOnly, page: debug ? null : this.page,
    }).filter((event) => debug || event.accepted);
    paintEvents(this.list, events, debug, currency, zone);
    setHidden(this.empty, events.length > 0);
    setText(this.empty, debug && this.rejectedOnly ? "Nothing was rejected lately." : "Nothing came in lately.");
  }

  private turn(tab: Tab): void {
    this.tab = tab;
    this.changed();
  }
}

/** The rows stay, their texts change: nothing moves about. */
export function paintEvents(
  list: HTMLUListElement, events: readonly RecentEvent[], debug: boolean, currency: string, zone: Zone,
): void {
  while (list.children.length > events.length) list.lastElementChild?.remove();
  while (list.children.length < events.length) {
    const row = make(list, "li");
    for (const name of ["time", "verdict", "type", "what", "where"]) make(row, "span", name);
  }
  events.forEach((event, at) => {
    const row = list.children[at];
    if (row === undefined) return;
    const texts = debug ? technical(event, currency, zone) : readable(event, currency, zone);
    texts.forEach((text, column) => {
      const cell = row.children[column];
      if (cell !== undefined) setText(cell, text);
    });
    row.className = event.accepted ? "accepted" : "rejected";
    const title = event.accepted ? (event.url ?? "") : `${event.code}: ${event.message}`;
    if (row.getAttribute("title") !== title) row.setAttribute("title", title);
  });
}

type Texts = [time: string, verdict: string, type: string, what: string, where: string];

function readable(event: RecentEvent, currency: string, zone: Zone): Texts {
  const time = zone.clockSeconds(event.at / 1000);
  if (!event.accepted) return [time, "✕ rejected", event.code, event.message, ""];
  const { type, url, category, country, device, revenue } = event;
  const page = url === null ? category : pagePath(url);
  const what = [revenue === null ? null : money(revenue, currency), page].filter((text) => text !== null && text !== "");
  return [time, "", type.replaceAll("_", " "), what.join(" · ") || DASH, `${country} ${device}`];
}

function technical(event: RecentEvent, currency: string, zone: Zone): Texts {
  const [time, verdict, type, what, where] = readable(event, currency, zone);
  return event.accepted ? [time, "✓ accepted", event.type, what, where] : [time, verdict, type, what, where];
}
