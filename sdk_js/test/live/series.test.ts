import { describe, expect, it } from "vitest";
import { DAY_MINUTES, MAX_RECENT, merge } from "../../src/live/series.js";
import type { Numbers, RecentEvent, Series, Top } from "../../src/live/types.js";
import { day, MINUTE, numbers, seeded, START, USUAL, type Minute } from "./numbers.js";

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed);

/** The series after all these messages. */
function after(messages: readonly Numbers[], from: Series | null = null): Series {
  const series = messages.reduce(merge, from);
  if (series === null) throw new Error("no snapshot");
  return series;
}

function frozen<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

interface Look {
  asOf: number;
  minutes: Minute[];
  changed: Minute[]; // what the service would say since the look before
}

/** A day that grows, as it was at some times: the last 3 hours are lively, and some hours are quiet. */
function history(random: () => number): [Look, ...Look[]] {
  const counts = new Map<number, number>();
  const looks: Look[] = [];
  let asOf = START + Math.floor(random() * 300);
  for (let left = 3 + Math.floor(random() * 10); left > 0; left -= 1) {
    asOf += Math.floor(random() ** 4 * 80_000) + 1;
    const last = Math.floor(asOf / MINUTE) * MINUTE;
    for (let more = Math.floor(random() * 30); more > 0; more -= 1) {
      const start = last - Math.floor(random() * 180) * MINUTE;
      counts.set(start, (counts.get(start) ?? 0) + Math.ceil(random() * 9));
    }
    const before = new Map(looks.at(-1)?.minutes.map((minute) => [minute.start, minute]));
    const minutes = day(asOf, counts);
    const changed = minutes.filter(({ start, status, count }) => {
      const old = before.get(start);
      return count !== (old?.count ?? 0) || status !== (old?.status ?? "none");
    });
    looks.push({ asOf, minutes, changed });
  }
  return looks as [Look, ...Look[]];
}

/** In deltas of one time, cut at random places. */
function split(random: () => number, asOf: number, minutes: readonly Minute[]): Numbers[] {
  const parts: Numbers[] = [];
  for (let from = 0; from < minutes.length || parts.length === 0; ) {
    const size = 1 + Math.floor(random() * minutes.length);
    parts.push(numbers("delta", asOf, minutes.slice(from, from + size)));
    from += size;
  }
  return parts;
}

describe("minutes", () => {
  it.each(SEEDS)("are the same by any deltas as by one snapshot (%i)", (seed) => {
    const random = seeded(seed);
    const [first, ...rest] = history(random);
    const snapshot = numbers("snapshot", first.asOf, first.minutes);
    const deltas = rest.flatMap(({ asOf, changed }) => split(random, asOf, changed));
    const last = rest.at(-1) ?? first;
    const merged = after([frozen(snapshot), ...deltas.map(frozen)]);
    expect(merged).toEqual(after([numbers("snapshot", last.asOf, last.minutes)]));
  });

  it.each(SEEDS)("are not changed by a delta that comes again, and no series ever is (%i)", (seed) => {
    const [first, ...rest] = history(seeded(seed));
    let series = frozen(after([numbers("snapshot", first.asOf, first.minutes)]));
    for (const { asOf, changed } of rest) {
      const delta = frozen(numbers("delta", asOf, changed));
      series = frozen(after([delta], series));
      expect(after([delta], series)).toEqual(series);
    }
  });

  it.each(SEEDS)("are one after the other, at most a day of them, in columns of one length (%i)", (seed) => {
    const random = seeded(seed);
    const some = (asOf: number) =>
      Array.from({ length: 5 }, () => START + Math.floor(random() * 4_000 - 2_000) * MINUTE)
        .sort((a, b) => a - b)
        .map((start): Minute => ({ start, status: "final", count: asOf % 7 }));
    let series: Series | null = null;
    for (let step = 0; step < 6; step += 1) {
      const asOf = START + Math.floor(random() * 100_000 - 50_000);
      series = merge(series, numbers(step === 0 ? "snapshot" : "delta", asOf, some(asOf)));
      const { time, status, columns } = series as Series;
      expect(time.length).toBeLessThanOrEqual(DAY_MINUTES);
      expect(time.every((start, at) => at === 0 || start - (time[at - 1] as number) === MINUTE)).toBe(true);
      expect([status.length, ...USUAL.map((name) => columns[name]?.length)]).toEqual(new Array(7).fill(time.length));
    }
  });

  it("that nobody spoke of are none, up to the service's time", () => {
    const first = numbers("snapshot", START, [{ start: START, status: "final", count: 4 }]);
    const series = after([first, numbers("delta", START + 185, [])]);
    expect(series.time).toEqual([0, 60, 120, 180].map((seconds) => START + seconds));
    expect(series.status).toEqual(["final", "none", "none", "none"]);
    expect(series.columns.events).toEqual([4, 0, 0, 0]);
  });

  it("are left as they were, and shared, when a delta has none", () => {
    const first = after([numbers("snapshot", START, day(START, new Map([[START, 3]])))]);
    const next = after([numbers("delta", START + 5, [])], first);
    expect(next.columns).toBe(first.columns);
    expect(next.asOf).toBe(START + 5);
    expect(next.now.events_per_second).toBe(START + 5);
  });

  it("of an older message count only where they have more events", () => {
    const held = after([numbers("snapshot", START + 60, day(START + 60, new Map([[START, 3], [START - 60, 3]])))]);
    const older = [
      { start: START - 60, status: "final", count: 2 },
      { start: START, status: "final", count: 5 },
    ] as const;
    for (const type of ["delta", "snapshot"] as const) {
      const series = after([numbers(type, START + 58, older)], held);
      expect(series.columns.events?.slice(-3)).toEqual([3, 5, 0]);
      expect(series.columns.revenue?.slice(-3)).toEqual([6, 10, 0]);
      expect({ ...series, columns: {} }).toEqual({ ...held, columns: {} });
    }
  });

  it("cannot come of a delta alone", () => {
    expect(merge(null, numbers("delta", START, day(START, new Map())))).toBeNull();
  });
});

describe("what is beside the minutes", () => {
  const top = (count: number): Top => ({
    ...{ start: START, end: START + 60, values: ["DE"], events: [count], revenue: [0] },
    ...{ page_views: [0], clicks: [0], purchases: [0], errors: [0], share: [1] },
  });
  const event = (id: number): RecentEvent => ({ id: `e${id}`, at: id, accepted: false, code: "c", message: "m" });

  it("top values are those that came last, of each dimension", () => {
    const series = after([
      numbers("snapshot", START, [], { top: { country: top(1), device: top(2) } }),
      numbers("delta", START + 1, [], { top: { country: top(3) } }),
      numbers("delta", START + 2, []),
    ]);
    expect(series.top).toEqual({ country: top(3), device: top(2) });
    expect(after([numbers("snapshot", START + 3, [])], series).top).toEqual({});
  });

  it("events come in order, none twice, and no more than are kept", () => {
    let series = after([numbers("snapshot", START, [], { recent: [event(1), event(3)] })]);
    series = after([numbers("delta", START + 1, [], { recent: [event(3), event(2), event(4)] })], series);
    expect(series.recent.map(({ id }) => id)).toEqual(["e1", "e2", "e3", "e4"]);
    const many = Array.from({ length: MAX_RECENT }, (_, at) => event(at + 3));
    for (let twice = 0; twice < 2; twice += 1) {
      series = after([numbers("delta", START + 2, [], { recent: many })], series);
      expect(series.recent.map(({ at }) => at)).toEqual(many.map(({ at }) => at));
    }
    // After a gap the last ones come as a snapshot: those before it stay.
    series = after([numbers("snapshot", START + 3, [], { recent: [event(MAX_RECENT + 2), event(900)] })], series);
    expect(series.recent).toHaveLength(MAX_RECENT);
    expect(series.recent.at(-1)).toEqual(event(900));
    expect(series.recent.at(0)).toEqual(event(4));
  });
});
