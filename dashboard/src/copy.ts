/** A button that copies a text; where that is not allowed it selects it instead. */

const SHOWN = 2_000; // ms that the button says so

export async function copy(button: HTMLButtonElement, from: HTMLElement): Promise<void> {
  const before = button.dataset["label"] ?? button.textContent ?? "";
  button.dataset["label"] = before;
  const text = from instanceof HTMLInputElement ? from.value : (from.textContent ?? "");
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // no permission, or no secure context: the hand does it
    if (from instanceof HTMLInputElement) from.select();
    else getSelection()?.selectAllChildren(from);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = before; }, SHOWN);
}
