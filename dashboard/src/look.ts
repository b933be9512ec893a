/** What the style sheet says to a canvas: colours, letters, sizes. */

export interface Look {
  accent: string;
  text: string;
  muted: string;
  grid: string;
  line: string;
  wash: string;
  panel: string;
  past: string;
  font: string; // in whole pixels: uPlot reads no others
  em: number; // pixels
  width: number; // of a line, pixels
}

/** As it is in force at an element now. */
export function readLook(root: HTMLElement): Look {
  const style = getComputedStyle(root);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const em = Number.parseFloat(style.fontSize);
  return {
    accent: colour("accent"), text: colour("text"), muted: colour("muted"), grid: colour("grid"),
    line: colour("line"), wash: colour("wash"), panel: colour("panel"), past: colour("past"),
    font: `${Math.round(em)}px ${style.fontFamily}`,
    em,
    width: em > 14 ? 2 : 1.25,
  };
}

/** The room that an element has. */
export function size(root: HTMLElement): { width: number; height: number } {
  return { width: Math.max(200, root.clientWidth), height: Math.max(120, root.clientHeight) };
}
