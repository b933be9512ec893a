/** The dashboard: key, filter and subscription tied to the parts that paint. */

import { type Access, type Config, loadConfig, NO_CONFIG } from "./access";
import { METRIC_NAMES, readAddress, SHOWN, SPANS, type View, writeAddress } from "./address";
import { Announcer } from "./announce";
import { ask, type Ask } from "./api";
import { Bar } from "./bar";
import { Board } from "./board";
import { connectionSaid } from "./connection";
import { by, makeButton, setHidden, setPressed, setText } from "./dom";
import { sameFilter, toggled, without } from "./filters";
import { FilterDialog } from "./filter_dialog";
import { figures } from "./figures";
import { forgetKey, keepKey, keptKey, sharedKey } from "./key";
import { bindKeys } from "./keyboard";
import { connect, type Connection, type Dimension, DIMENSIONS, type Filter, type LiveClient, type Series } from "./live";
import { Painter } from "./painter";
import { ShareDialog } from "./share";
import { Zone } from "./zone";

const TICK = 500; // ms

export class App {
  private readonly view: View = readAddress(location.search);
  private readonly painter = new Painter(() => this.paint());
  private readonly announcer = new Announcer((text) => setText(by("said"), text));
  private readonly asking: Ask = (path, body) => ask(this.key, path, body);
  private readonly bar = new Bar((dimension) => this.setFilter(without(this.view.filter, this.fixed, dimension)));
  private readonly board = new Board(
    this.asking, this.painter.schedule,
    (dimension, value) => this.pick(dimension, value), (metric) => this.look({ metric }),
  );
  private readonly share = new ShareDialog(by<HTMLDialogElement>("share-dialog"), this.asking);
  private readonly adding = new FilterDialog(by<HTMLDialogElement>("filter-dialog"), (dimension, value) => this.only(dimension, value));
  private config: Config = NO_CONFIG;
  private key: string | null = null;
  private expires: number | null = null; // when the key does, epoch seconds
  private fixed: Filter = {}; // the part of the filter that the key has for all it opens
  private client: LiveClient | null = null;
  private series: Series | null = null;
  private connection: Connection = { state: "connecting" };
  private zone = new Zone("UTC");

  /** With a key that is known at once the numbers do not wait for anything else. */
  async start(): Promise<void> {
    this.bind();
    setInterval(() => this.tick(), TICK);
    const known = sharedKey(location.hash) ?? keptKey();
    if (known !== null) void this.open(known);
    this.config = await loadConfig((until) => {
      if (this.client === null) this.connected({ state: "reconnecting", until });
    });
    this.painter.schedule();
    if (known !== null) return;
    if (this.config.read_key === null) this.askKey("");
    else void this.open(this.config.read_key);
  }

  private bind(): void {
    const metric = by<HTMLSelectElement>("metric");
    for (const name of SHOWN) metric.add(new Option(METRIC_NAMES[name], name));
    metric.addEventListener("change", () => {
      this.look({ metric: SHOWN.find((name) => name === metric.value) ?? "events" });
    });
    for (const hours of SPANS) {
      const button = makeButton(by("hours"), "", `${hours} h`, () => {
        this.board.chart.show(null);
        this.look({ hours });
      });
      button.dataset["hours"] = String(hours);
      button.setAttribute("aria-label", hours === 1 ? "last hour" : `last ${hours} hours`);
    }
    const keys = {
      live: () => this.board.backToLive(),
      compare: () => this.look({ compare: !this.view.compare }),
      clear: () => this.clear(),
      help: () => by<HTMLDialogElement>("help-dialog").showModal(),
    };
    bindKeys(keys);
    by("to-live").addEventListener("click", keys.live);
    by("compare").addEventListener("click", keys.compare);
    by("help").addEventListener("click", keys.help);
    by("none-clear").addEventListener("click", () => this.setFilter(this.fixed));
    by("as-table").addEventListener("click", () => this.board.turnTable());
    by("add-filter").addEventListener("click", () => {
      if (this.series !== null) this.adding.open(this.series, this.fixed);
    });
    by("share").addEventListener("click", () => {
      if (this.series === null) return;
      this.share.open({ project: this.series.project, filter: this.view.filter, zone: this.zone });
    });
    by("ask-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const field = by<HTMLInputElement>("ask-key");
      const entered = field.value.trim();
      if (entered === "") return;
      keepKey(entered);
      field.value = "";
      void this.open(entered);
    });
    addEventListener("hashchange", () => {
      const shared = sharedKey(location.hash);
      if (shared !== null) void this.open(shared);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.client?.pause();
      else this.client?.resume();
      this.painter.schedule();
    });
    const wide = matchMedia("(min-width: 1920px) and (min-height: 900px)");
    const layout = () => {
      document.documentElement.dataset["layout"] = (this.view.tv ?? wide.matches) ? "tv" : "page";
      this.board.chart.rebuild();
    };
    wide.addEventListener("change", layout);
    layout();
  }

  /** Show the dashboard with this key, in the part of the numbers that it opens. */
  private async open(key: string): Promise<void> {
    this.client?.stop();
    this.key = key;
    this.series = null;
    this.fixed = {};
    this.expires = null;
    this.board.forget();
    setHidden(by("ask"), true);
    setHidden(by("dashboard"), false);
    setHidden(by("share"), false);
    setHidden(by("add-filter"), false);
    this.notice("");
    this.client = connect({
      origin: location.origin, key, wish: this.wish(),
      onSeries: (series) => this.received(series),
      onConnection: (connection) => this.connected(connection),
      onError: (failure) => this.notice(`${failure.message} (${failure.code})`),
    });
    this.client.start();
    const found = await this.asking<Access>("/v1/access");
    if (key !== this.key || !found.ok) return; // a key that opens nothing is told of by the connection
    this.fixed = found.body.filter;
    this.expires = found.body.expires;
    setHidden(by("ledger"), Object.keys(this.fixed).length > 0); // it is of the whole project
    const filter = { ...this.view.filter, ...this.fixed };
    if (sameFilter(filter, this.view.filter)) this.painter.schedule();
    else this.setFilter(filter);
  }

  /** Ask for a read key, saying why the last one did not do. */
  private askKey(why: string): void {
    this.client?.stop();
    this.client = null;
    this.key = null;
    this.series = null;
    forgetKey();
    for (const id of ["dashboard", "share", "add-filter", "first"]) setHidden(by(id), true);
    setHidden(by("ask"), false);
    this.notice(why);
    by("ask-key").focus();
    this.connection = { state: "denied", failure: { code: "read_key_missing", message: why } };
    this.showConnection();
  }

  private wish() {
    return { filter: this.view.filter, metrics: SHOWN, dimensions: DIMENSIONS, recent: true };
  }

  private received(series: Series): void {
    if (series.timezone !== this.zone.name) this.zone = new Zone(series.timezone);
    this.series = series;
    this.notice("");
    this.board.feed.buffer.take(series.recent);
    this.painter.schedule();
  }

  private connected(connection: Connection): void {
    const changed = connection.state !== this.connection.state;
    if (changed && connection.state !== "connecting") this.announcer.tell(connectionSaid(connection));
    this.connection = connection;
    if (connection.state === "denied") {
      this.askKey(connection.failure.message);
      return;
    }
    // "live" shows with the values of its message, in paint().
    if (connection.state !== "live") this.showConnection();
    if (changed) this.painter.schedule(); // the colours change
  }

  private tick(): void {
    if (document.hidden) return;
    this.announcer.tick();
    if (this.connection.state !== "live") this.showConnection();
  }

  private showConnection(): void {
    this.bar.paintConnection(this.connection, Date.now(), this.zone);
  }

  private paint(): void {
    const { series, view, fixed, zone } = this;
    this.bar.paintChips({ ...view.filter, ...fixed }, fixed);
    setPressed(by("compare"), view.compare);
    const metric = by<HTMLSelectElement>("metric");
    if (metric.value !== view.metric) metric.value = view.metric;
    if (series === null || this.key === null) {
      if (this.connection.state !== "live") this.showConnection();
      return;
    }
    this.showConnection();
    document.body.dataset["pending"] = String(!sameFilter(series.filter, { ...view.filter, ...fixed }));
    setText(by("project"), series.project);
    document.title = `${series.project} · streamlens`;
    setText(by("as-of"), `As of ${zone.clockSeconds(series.asOf)}`);
    setText(by("zone"), zone.name);
    setText(by("access"), this.expires === null ? "" : `This access ends ${zone.date(this.expires)}.`);
    this.bar.paintJob(series, zone);
    const said = this.board.paint(series, view, fixed, zone, this.places());
    if (said !== "") this.announcer.tell(said);
    this.announcer.numbers(() => spoken(series));
  }

  private places() {
    return { service: location.origin, collector: this.config.collector_url, key: this.config.write_key };
  }

  private look(change: Partial<View>): void {
    Object.assign(this.view, change);
    history.replaceState(null, "", `${location.pathname}${writeAddress(this.view, this.fixed)}${location.hash}`);
    this.painter.schedule();
  }

  private setFilter(filter: Filter): void {
    this.notice("");
    this.board.feed.buffer.clear();
    this.look({ filter });
    this.client?.subscribe(this.wish());
  }

  private pick(dimension: Dimension, value: string): void {
    this.setFilter(toggled(this.view.filter, this.fixed, dimension, value));
  }

  private only(dimension: Dimension, value: string): void {
    if (this.view.filter[dimension] !== value) this.pick(dimension, value);
  }

  /** First the selected time, then the filters. */
  private clear(): void {
    if (this.board.chart.clear()) return;
    this.board.feed.showPage(null);
    if (!sameFilter(this.view.filter, this.fixed)) this.setFilter(this.fixed);
  }

  private notice(text: string): void {
    setHidden(by("notice"), text === "");
    setText(by("notice"), text);
  }
}

/** The four figures, read aloud now and then. */
function spoken(series: Series): string {
  const { users, events, revenue, errors } = figures(series, { yesterday: null, minutes: [] }, null);
  return `Active users ${users.value}. ${events.value} events per second. Revenue ${revenue.value} in the last 60 minutes. Error rate ${errors.value}.`;
}
