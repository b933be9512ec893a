/** Whether anything may be kept or sent at all. */

const OUT = "streamlens:out"; // the one thing that stays of somebody who opted out

/** A browser's storage; undefined where there is none, or its settings forbid it. */
export function area(kind: "localStorage" | "sessionStorage"): Storage | undefined {
  try {
    return window[kind];
  } catch {
    return undefined;
  }
}

/** Whether the browser says Do Not Track, or Global Privacy Control. */
export const asked = (): boolean =>
  navigator.doNotTrack === "1" || !!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;

export class Consent {
  #out = false;

  constructor(
    private readonly area: Storage | undefined,
    private readonly never: boolean,
  ) {}

  /** Another tab may have been told: so this looks each time. */
  silent(): boolean {
    return this.never || this.#out || !!this.area?.getItem(OUT);
  }

  set(out: boolean): void {
    this.#out = out;
    try {
      if (out) this.area?.setItem(OUT, "1");
      else this.area?.removeItem(OUT);
    } catch {
      // full: it holds for this page
    }
  }
}
