/** Keys of the whole page; not while somebody types, or a dialog is open. */

export interface Keys {
  live(): void;
  compare(): void;
  clear(): void;
  help(): void;
}

export function bindKeys(keys: Keys): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector("dialog[open]") !== null) return; // it closes itself at Escape
    const does = action(event.key, keys);
    if (does === null) return;
    event.preventDefault();
    does();
  });
}

function action(key: string, keys: Keys): (() => void) | null {
  switch (key) {
    case "r": case "R":
      return keys.live;
    case "x": case "X":
      return keys.compare;
    case "Escape":
      return keys.clear;
    case "?":
      return keys.help;
    default:
      return null;
  }
}

/** A list takes letters too: they choose in it. */
function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement
    && (target.isContentEditable || target.matches("input, textarea, select"));
}
