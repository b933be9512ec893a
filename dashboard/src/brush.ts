/** The chart from the keyboard: where the crosshair is, and what is being selected. Pure. */

const FAR = 10; // minutes, with Shift

export interface Brush {
  at: number; // the minute under the crosshair, counted from the epoch
  anchor: number | null; // where a selection began
}

export type Stroke =
  | { kind: "move"; brush: Brush }
  | { kind: "zoom"; from: number; to: number } // minutes
  | { kind: "none" };

/** What a key does on a chart whose drawn minutes are [first, last]. `brush` is null before the first key. */
export function stroke(brush: Brush | null, key: string, shift: boolean, first: number, last: number): Stroke {
  const { at, anchor } = brush ?? { at: last + 1, anchor: null };
  const to = (minute: number): Stroke => ({
    kind: "move", brush: { at: Math.min(last, Math.max(first, minute)), anchor },
  });
  const step = shift ? FAR : 1;
  switch (key) {
    case "ArrowLeft": case "ArrowDown":
      return to(at - step);
    case "ArrowRight": case "ArrowUp":
      return to(at + step);
    case "PageDown":
      return to(at - 6 * FAR);
    case "PageUp":
      return to(at + 6 * FAR);
    case "Home":
      return to(first);
    case "End":
      return to(last);
    case " ": case "Enter":
      if (brush === null) return to(last);
      if (anchor === null) return { kind: "move", brush: { at, anchor: at } };
      if (anchor === at) return { kind: "move", brush: { at, anchor: null } };
      return { kind: "zoom", from: Math.min(anchor, at), to: Math.max(anchor, at) };
    default:
      return { kind: "none" };
  }
}
