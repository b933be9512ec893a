/** What is painted of the numbers: tiles, chart or table, events, rankings; and what is before there are any. */

import { METRIC_NAMES, SPANS, type View } from "./address";
import type { Ask } from "./api";
import { Chart } from "./chart";
import { aligned, pastNow } from "./compare";
import { Crosshair } from "./crosshair";
import { by, make, setHidden, setPressed, setText } from "./dom";
import { Feed } from "./feed";
import { inWords } from "./filters";
import { First } from "./first";
import { valueName } from "./format";
import { Ledger } from "./ledger";
import { type Dimension, DIMENSIONS, type Filter, type Series } from "./live";
import { fittingHours, hasEvents, HOUR, MINUTE } from "./minutes";
import { Pages, pagePath } from "./pages";
import { LINES, Ranking, rowsOf, TYPES, typeRows } from "./ranking";
import type { Places } from "./snippets";
import { summary } from "./summary";
import { TableView, tabled } from "./table";
import { Tiles } from "./tiles";
import { Users } from "./users";
import { Yesterday } from "./yesterday";
import type { Zone } from "./zone";

const PLURALS: Record<Dimension, string> = { country: "Countries", device: "Devices", category: "Categories" };

export class Board {
  readonly chart: Chart;
  readonly feed: Feed;
  private readonly tiles: Tiles;
  private readonly table = new TableView(by("table").querySelector("table") as HTMLTableElement);
  private readonly yesterday: Yesterday;
  private readonly users: Users;
  private readonly pages: Pages;
  private readonly ledger: Ledger;
  private readonly first: First;
  private readonly rankings: Record<Dimension, Ranking>;
  private readonly pageRanking: Ranking;
  private readonly types: Ranking;
  private places: Places = { service: "", collector: "", key: null };
  private asTable = false;
  private told = ""; // what came of the newest event, before there are numbers
  private summarised = ""; // what the summary is of

  /** `changed` asks for a painting; `pick` and `show` are told a value or a metric that was pressed. */
  constructor(
    ask: Ask, private readonly changed: () => void,
    pick: (dimension: Dimension, value: string) => void, show: (metric: View["metric"]) => void,
  ) {
    const crosshair = new Crosshair();
    crosshair.follow(changed);
    this.tiles = new Tiles(by("tiles"), crosshair);
    this.chart = new Chart(by("plot"), by("readout"), crosshair, changed);
    this.feed = new Feed(by("feed"), changed);
    this.yesterday = new Yesterday(ask, changed);
    this.users = new Users(ask, changed);
    this.pages = new Pages(ask, changed);
    this.ledger = new Ledger(by<HTMLDetailsElement>("ledger"), ask, changed);
    this.first = new First(by("first"), () => this.places);
    const panel = () => make(by("rankings"), "div", "panel");
    const ranking = (within: HTMLElement, dimension: Dimension, most?: number) => new Ranking(
      within, PLURALS[dimension], dimension,
      (value) => valueName(dimension, value), (value) => pick(dimension, value), most,
    );
    const country = ranking(panel(), "country");
    const shared = panel();
    const device = ranking(shared, "device", LINES - 1 - TYPES.length); // a line is the second heading's
    this.types = new Ranking(
      shared, "Types", "type", (value) => METRIC_NAMES[value as View["metric"]], (value) => show(value as View["metric"]),
      TYPES.length,
    );
    this.rankings = { country, device, category: ranking(panel(), "category") };
    this.pageRanking = new Ranking(panel(), "Pages", "page", pagePath, (value) => {
      this.feed.showPage(this.feed.shownPage === value ? null : value);
    });
  }

  /** Another key: nothing that was known is of it. */
  forget(): void {
    this.feed.buffer.clear();
    this.yesterday.forget();
    this.users.forget();
    this.pages.forget();
    this.ledger.forget();
    this.told = "";
  }

  backToLive(): void {
    this.chart.show(null);
    this.feed.turnPause(false);
  }

  turnTable(): void {
    this.asTable = !this.asTable;
    setPressed(by("as-table"), this.asTable);
    this.changed();
  }

  /** What should be read aloud comes back, else "". */
  paint(series: Series, view: View, fixed: Filter, zone: Zone, places: Places): string {
    this.places = places;
    const filtered = Object.keys(series.filter).length > 0;
    const empty = !hasEvents(series);
    const first = empty && !filtered;
    setHidden(by("first"), !first);
    setHidden(by("dashboard"), first);
    if (first) return this.paintFirst(series, zone);
    this.paintChart(series, view, zone, empty);
    this.feed.paint(series.currency, zone);
    this.paintRankings(series, view, fixed);
    this.users.want(series.filter, series.asOf, zone);
    this.pages.want(series.filter, Date.now());
    this.ledger.want(Date.now(), zone);
    return "";
  }

  private paintFirst(series: Series, zone: Zone): string {
    const said = this.first.paint(series.recent, series.project, series.currency, zone);
    if (said === this.told) return "";
    this.told = said;
    return said;
  }

  private paintChart(series: Series, view: View, zone: Zone, empty: boolean): void {
    const hours = view.hours ?? fittingHours(series, SPANS);
    const [from, to] = this.chart.window(series, hours);
    const past = this.pastOf(series, view, from, zone);
    const now = this.yesterday.past === null ? null : pastNow(this.yesterday.past, series.asOf, zone);
    this.tiles.paint(series, this.users, now, zone);
    const column = view.compare && past !== null ? aligned(past, view.metric, series.time, zone) : null;
    for (const button of by("hours").querySelectorAll("button")) {
      setPressed(button, this.chart.zoom === null && button.dataset["hours"] === String(hours));
    }
    setHidden(by("to-live"), this.chart.zoom === null);
    setHidden(by("key-past"), !view.compare);
    setHidden(by("plot"), this.asTable);
    setHidden(by("table"), !this.asTable);
    setHidden(by("none"), !empty);
    if (empty) setText(by("none-title"), `No events of ${inWords(series.filter)} in the last 24 hours`);
    if (this.asTable) {
      const rows = tabled(series, from, to, this.users.minutes, column, zone);
      this.table.paint(rows, view.metric, view.compare, series.currency, zone);
    } else {
      this.chart.paint({ series, metric: view.metric, hours, past: column, zone });
    }
    this.summarise(series, view, [from, to], column, zone);
  }

  /** In a sentence; by the minute is often enough. */
  private summarise(series: Series, view: View, [from, to]: [number, number], past: (number | null)[] | null, zone: Zone): void {
    const key = JSON.stringify([view, from, to, past !== null, Math.floor(series.asOf / MINUTE), series.filter]);
    if (key === this.summarised) return;
    this.summarised = key;
    setText(by("summary"), summary(series, view.metric, from, to, past, zone));
  }

  /** The day before: of the last hour for the tiles, of all that the chart shows when it is compared. */
  private pastOf(series: Series, view: View, from: number, zone: Zone) {
    const to = zone.yesterday(series.asOf);
    if (to === null) return this.yesterday.past;
    const start = view.compare ? zone.yesterday(from) : null;
    this.yesterday.want(series.filter, Math.min(start ?? to, to - HOUR), to, series.asOf);
    return this.yesterday.past;
  }

  private paintRankings(series: Series, view: View, fixed: Filter): void {
    for (const dimension of DIMENSIONS) {
      const said = series.top[dimension] === undefined ? "" : "No events in the last hour.";
      this.rankings[dimension].paint(
        rowsOf(series.top[dimension]), series.filter[dimension] ?? null, fixed[dimension] !== undefined, said,
      );
    }
    this.types.paint(typeRows(series), view.metric, false, "");
    this.pageRanking.paint(this.pages.rows, this.feed.shownPage, false, this.pages.said);
  }
}
