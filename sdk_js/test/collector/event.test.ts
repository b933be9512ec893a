import { expect, test } from "vitest";
import { checkType, encode, money } from "../../src/collector/event.js";
import type { Props } from "../../src/collector/options.js";

const STAMP = { user_id: "u", id: "00000000-0000-7000-8000-000000000000", session_id: "s" };
const made = (props: Props, context = {}) => JSON.parse(encode(STAMP, 5, "click", props, context));

test("an event has what the collector's schema wants", () => {
  expect(made({ name: "buy", category: "shoes" }, { url: "https://a.example/" })).toEqual({
    type: "click",
    user_id: "u",
    ts: 5,
    id: STAMP.id,
    session_id: "s",
    url: "https://a.example/",
    category: "shoes",
    props: { name: "buy" },
  });
});

test("a server says of whom and where", () => {
  expect(made({}, { userId: "v", sessionId: "t" })).toMatchObject({ user_id: "v", session_id: "t" });
});

test("props are cut to what the collector takes, which else refuses the event", () => {
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`p${n}`, n]));
  expect(Object.keys(made(many).props)).toHaveLength(32);
  const strange = { a: undefined, b: Number.NaN, c: { d: 1 }, e: () => 1, f: 10n, ["n".repeat(65)]: 1 };
  expect(made(strange as unknown as Props)).not.toHaveProperty("props");
  expect(made({ t: "x".repeat(2_000), n: null, z: 0, b: false }).props).toEqual({ t: "x".repeat(1_024), n: null, z: 0, b: false });
});

test("texts have the collector's lengths", () => {
  const event = made({ category: "c".repeat(100) }, { url: "u".repeat(3_000), userId: "i".repeat(200) });
  expect([event.category.length, event.url.length, event.user_id.length]).toEqual([64, 2_048, 128]);
});

test.each(["page_view", "a", "shop:cart.add-2", `a${"b".repeat(63)}`])("%s is a type", (type) => {
  expect(() => checkType(type)).not.toThrow();
});

test.each(["", "Page", "1a", "a b", "a\n", `a${"b".repeat(64)}`])("%j is none", (type) => {
  expect(() => checkType(type)).toThrow("bad type");
});

test.each([
  [19.99, "19.990000"],
  [0.1 + 0.2, "0.300000"],
  [-5, "-5.000000"],
  [1e-7, "0.000000"],
  ["19.99", "19.99"],
  ["1234567.123456", "1234567.123456"],
])("%s of money is %s", (amount, text) => {
  expect(money(amount, "EUR")).toEqual({ amount: text, currency: "EUR" });
});

test.each([[Number.NaN, "EUR"], [Infinity, "EUR"], [1e21, "EUR"], ["1e3", "EUR"], ["", "EUR"], ["1,5", "EUR"], [1, "eur"], [1, "EURO"]])(
  "%s %s is none",
  (amount, currency) => {
    expect(() => money(amount, currency)).toThrow("bad amount");
  },
);
