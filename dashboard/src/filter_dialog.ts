/** The dialog for a filter whose value is in no ranking. */

import { make, makeButton } from "./dom";
import { MAX_VALUE, TITLES } from "./filters";
import { valueName } from "./format";
import { type Dimension, DIMENSIONS, type Filter, type Series } from "./live";

export class FilterDialog {
  private readonly dimension: HTMLSelectElement;
  private readonly value: HTMLInputElement;
  private readonly known: HTMLDataListElement;
  private series: Series | null = null;

  constructor(private readonly dialog: HTMLDialogElement, pick: (dimension: Dimension, value: string) => void) {
    make(dialog, "h2", "", "Filter").id = "filter-title";
    const form = make(dialog, "form");
    form.method = "dialog";
    const row = make(form, "p", "row");
    this.dimension = make(row, "select");
    this.dimension.setAttribute("aria-label", "Filter by");
    this.value = make(row, "input");
    this.value.required = true;
    this.value.maxLength = MAX_VALUE;
    this.value.autocomplete = "off";
    this.value.setAttribute("aria-label", "Value, as events have it");
    this.value.setAttribute("list", "filter-known");
    this.known = make(form, "datalist");
    this.known.id = "filter-known";
    const buttons = make(form, "p", "row end");
    makeButton(buttons, "", "Cancel", () => dialog.close());
    make(buttons, "button", "primary", "Filter").type = "submit";
    this.dimension.addEventListener("change", () => this.suggest());
    form.addEventListener("submit", () => {
      const value = this.value.value.trim();
      const chosen = DIMENSIONS.find((name) => name === this.dimension.value);
      if (chosen !== undefined && value !== "") pick(chosen, chosen === "country" ? value.toUpperCase() : value);
    });
  }

  /** What the key has fixed cannot be chosen. */
  open(series: Series, fixed: Filter): void {
    this.series = series;
    this.dimension.replaceChildren(
      ...DIMENSIONS.filter((name) => fixed[name] === undefined).map((name) => new Option(TITLES[name], name)),
    );
    if (this.dimension.options.length === 0) return;
    this.suggest();
    this.dialog.showModal();
    this.value.focus();
  }

  private suggest(): void {
    this.value.value = "";
    const name = DIMENSIONS.find((each) => each === this.dimension.value);
    if (name === undefined) return;
    this.value.placeholder = name === "country" ? "DE" : "";
    const values = this.series?.top[name]?.values ?? [];
    this.known.replaceChildren(...values.filter((value) => value !== "other").map((value) => new Option(valueName(name, value), value)));
  }
}
