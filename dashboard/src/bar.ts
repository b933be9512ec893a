/** The bar above: project, filter chips, the connection, and whether the pipeline lives. */

import { connectionText } from "./connection";
import { by, make, makeButton, setHidden, setText } from "./dom";
import { chips } from "./filters";
import type { Connection, Dimension, Filter, Series } from "./live";
import type { Zone } from "./zone";

export class Bar {
  private shown = "";

  constructor(private readonly remove: (dimension: Dimension) => void) {}

  paintChips(filter: Filter, fixed: Filter): void {
    const wanted = chips(filter, fixed);
    const key = JSON.stringify(wanted);
    if (key === this.shown) return;
    this.shown = key;
    const list = by("chips");
    const focused = list.contains(document.activeElement);
    list.replaceChildren();
    for (const { dimension, text, fixed: stays } of wanted) {
      const item = make(list, "li");
      if (stays) {
        make(item, "span", "chip", text).title = "Fixed by the key";
      } else {
        const chip = makeButton(item, "chip", `${text} ×`, () => this.remove(dimension));
        chip.setAttribute("aria-label", `${text}, remove`);
      }
    }
    if (focused) (list.querySelector("button") ?? by("main")).focus();
  }

  paintConnection(connection: Connection, now: number, zone: Zone): void {
    document.body.dataset["state"] = connection.state;
    setText(by("connection-text"), connectionText(connection, now, zone));
  }

  paintJob({ job }: Series, zone: Zone): void {
    const { alive, last_beat: beat, log_lost_since: lost } = job;
    setHidden(by("job"), alive && lost === null);
    if (!alive) setText(by("job"), beat === null ? "pipeline silent" : `pipeline silent since ${zone.clock(beat)}`);
    else if (lost !== null) setText(by("job"), `no answer from the event log since ${zone.clock(lost)}`);
  }
}
