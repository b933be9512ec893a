/** The dialog that makes a share link: what it opens, and until when. */

import type { Ask } from "./api";
import { copy } from "./copy";
import { make, makeButton, setHidden, setText } from "./dom";
import { inWords } from "./filters";
import type { Filter } from "./live";
import type { Zone } from "./zone";

const DAY = 86_400;
const TIMES: readonly (readonly [string, number])[] = [
  ["1 day", DAY], ["7 days", 7 * DAY], ["30 days", 30 * DAY], ["1 year", 365 * DAY],
];
const USUAL = 30 * DAY;

interface Share {
  id: string;
  path: string;
  filter: Filter;
  expires: number; // epoch seconds
}

/** What is shared of what. */
export interface Shared {
  project: string;
  filter: Filter;
  zone: Zone;
}

export class ShareDialog {
  private readonly what: HTMLElement;
  private readonly time: HTMLSelectElement;
  private readonly made: HTMLElement;
  private readonly link: HTMLInputElement;
  private readonly until: HTMLElement;
  private readonly failed: HTMLElement;
  private readonly create: HTMLButtonElement;
  private readonly copying: HTMLButtonElement;
  private shared: Shared | null = null;

  constructor(private readonly dialog: HTMLDialogElement, private readonly ask: Ask) {
    make(dialog, "h2", "", "Share link").id = "share-title";
    this.what = make(dialog, "p");
    const row = make(dialog, "p", "row");
    const label = make(row, "label", "", "Ends after ");
    this.time = make(label, "select");
    for (const [title, seconds] of TIMES) this.time.add(new Option(title, String(seconds), false, seconds === USUAL));
    this.create = makeButton(row, "primary", "Create and copy", () => void this.make());
    this.made = make(dialog, "div", "made");
    const line = make(this.made, "p", "row");
    this.link = make(line, "input");
    this.link.readOnly = true;
    this.link.setAttribute("aria-label", "The link");
    this.copying = makeButton(line, "", "Copy", () => void copy(this.copying, this.link));
    this.until = make(this.made, "p", "until");
    this.failed = make(dialog, "p", "notice");
    this.failed.setAttribute("role", "alert");
    const form = make(dialog, "form");
    form.method = "dialog";
    make(form, "button", "", "Close");
  }

  open(shared: Shared): void {
    this.shared = shared;
    setText(this.what, `Whoever has the link can read ${named(shared.project, shared.filter)}, and nothing else.`);
    setHidden(this.made, true);
    setHidden(this.failed, true);
    this.dialog.showModal();
    this.create.focus();
  }

  private async make(): Promise<void> {
    const { shared } = this;
    if (shared === null) return;
    this.create.disabled = true;
    const found = await this.ask<Share>("/v1/shares", { filter: shared.filter, seconds: Number(this.time.value) });
    this.create.disabled = false;
    setHidden(this.made, !found.ok);
    setHidden(this.failed, found.ok);
    if (!found.ok) {
      setText(this.failed, found.message);
      return;
    }
    const { path, filter, expires, id } = found.body;
    this.link.value = `${location.origin}${path}`;
    setText(this.until, `Opens ${named(shared.project, filter)} until ${shared.zone.date(expires)} (${shared.zone.name}). To end it before: revoke ${id}.`);
    await copy(this.copying, this.link);
  }
}

function named(project: string, filter: Filter): string {
  const part = inWords(filter);
  return part === "" ? `all numbers of ${project}` : `${part} of ${project}`;
}
