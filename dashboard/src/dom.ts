/** The few things that are done to the page again and again. */

/** An element of index.html, by its id. */
export function by<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element ${id}`);
  return found as T;
}

/** A new last child. */
export function make<K extends keyof HTMLElementTagNameMap>(
  parent: Element, name: K, className = "", text = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  if (text !== "") made.textContent = text;
  parent.append(made);
  return made;
}

/** A new button as the last child. */
export function makeButton(parent: Element, className: string, text: string, press: () => void): HTMLButtonElement {
  const made = make(parent, "button", className, text);
  made.type = "button";
  made.addEventListener("click", press);
  return made;
}

/** Set a text where it differs: what does not change is not painted again. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function setHidden(node: HTMLElement, hidden: boolean): void {
  if (node.hidden !== hidden) node.hidden = hidden;
}

export function setPressed(button: HTMLElement, pressed: boolean): void {
  const text = String(pressed);
  if (button.getAttribute("aria-pressed") !== text) button.setAttribute("aria-pressed", text);
}
