/** Whether anything may be kept or sent at all. */

const OUT = "streamlens:out"; // the one thing that stays of somebody who opted out

/** A browser's storage; undefined in a server, and where its settings forbid it. */
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

export interface Consent {
  /** Another tab may have been told: so this looks each time. */
  silent(): boolean;
  set(out: boolean): void;
}

export function openConsent(area: Storage | undefined, never: boolean): Consent {
  let left = false;
  return {
    silent: () => never || left || !!area?.getItem(OUT),
    set(out) {
      left = out;
      try {
        if (out) area?.setItem(OUT, "1");
        else area?.removeItem(OUT);
      } catch {
        // full: it holds for this page
      }
    },
  };
}
