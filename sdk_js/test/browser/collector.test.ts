/** The script tag in Chromium. What becomes of events when a page is left is `npm run loss`. */

import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Site } from "./site.js";

const site = new Site();

beforeAll(() => site.start(), 60_000);
afterAll(() => site.stop());

const until = (types: string[]) => vi.waitFor(() => expect(site.types).toEqual(types), { timeout: 10_000, interval: 20 });

test("a page view, without query and fragment, and no cookie", async () => {
  site.page();
  const page = await site.open("/shop?mail=a@b.example#c");
  await until(["page_view"]);
  expect(site.events[0]!.url).toBe(site.at("/shop"));
  expect(site.events[0]!.user_id).toMatch(/^[0-9a-f-]{36}$/);
  expect(await page.context().cookies()).toEqual([]);
  expect(site.requests.map(({ method, headers }) => [method, headers.cookie])).toEqual([["POST", undefined]]);
  await page.context().close();
});

test("the query can be kept", async () => {
  site.page("", "data-query");
  const page = await site.open("/?utm_source=x#c");
  await until(["page_view"]);
  expect(site.events[0]!.url).toBe(site.at("/?utm_source=x"));
  await page.context().close();
});

test("each other path is a page view, however it is reached", async () => {
  site.page();
  const page = await site.open("/a");
  await page.evaluate(() => {
    history.pushState(null, "", "/b");
    history.replaceState(null, "", "/b?x=1");
    history.replaceState(null, "", "/c");
  });
  await until(["page_view", "page_view", "page_view"]);
  await page.evaluate(() => history.back());
  await until(Array<string>(4).fill("page_view"));
  expect(site.events.map(({ url }) => new URL(url).pathname)).toEqual(["/a", "/b", "/c", "/a"]);
  await page.context().close();
});

test("a page out of the bfcache is viewed again, and nothing is counted twice", async () => {
  site.page();
  const page = await site.open("/a");
  await until(["page_view"]);
  await page.goto("data:text/html,elsewhere");
  await page.evaluate("history.back()").catch(() => {});
  await page.waitForURL(site.at("/a"), { waitUntil: "commit" });
  await page.waitForFunction("window.persisted !== undefined");
  expect(await page.evaluate("persisted")).toBe(true);
  await until(["page_view", "page_view"]);
  expect(new Set(site.events.map(({ id }) => id)).size).toBe(2);
  await page.context().close();
});

test("marked clicks, from within too, with what their attributes say", async () => {
  site.page(`<button data-track="buy" data-track-size="9" data-track-category="shoes"><b id="inner">Buy</b></button><button id="other">No</button>`);
  const page = await site.open();
  await page.click("#other");
  await page.click("#inner");
  await until(["page_view", "click"]);
  expect(site.events[1]).toMatchObject({ category: "shoes", props: { name: "buy", size: "9" } });
  await page.context().close();
});

test("uncaught errors and rejections, with their place, without stack, at most 20", async () => {
  site.page();
  const page = await site.open();
  await page.evaluate(() => {
    setTimeout(() => { throw new Error(`first ${"x".repeat(2_000)}`); });
    setTimeout(() => void Promise.reject(new TypeError("second")), 10);
    setTimeout(() => void Promise.reject("third"), 20);
    for (let n = 0; n < 30; n++) setTimeout(() => { throw new Error(`more ${n}`); }, 30);
  });
  await until(["page_view", ...Array<string>(20).fill("error")]);
  const [, first, second, third] = site.events.map(({ props }) => props as { message: string; line?: number });
  expect([first!.message.length, first!.line]).toEqual([1_024, expect.any(Number)]);
  expect([second!.message, third!.message]).toEqual(["second", "third"]);
  expect(site.events.every(({ props }) => !JSON.stringify(props ?? "").includes("    at "))).toBe(true);
  await page.context().close();
});

test("what is not wanted is not captured", async () => {
  site.page(`<button id="b" data-track="b">b</button>`, `data-page-views="false" data-clicks="false" data-errors="false" data-user-id="u-1" data-category="docs"`);
  const page = await site.open();
  await page.click("#b");
  await page.evaluate(`setTimeout(() => { throw new Error("x") }); history.pushState(null, "", "/b"); setTimeout(() => streamlens.track("last"), 20)`);
  await until(["last"]);
  expect(site.events[0]).toMatchObject({ user_id: "u-1", category: "docs" });
  await page.context().close();
});

test("calls from before the script is there are made when it is, and later ones at once", async () => {
  site.page("", `data-page-views="false"`, `<script>window.streamlens = { q: [] }; streamlens.q.push(["identify", "u"], ["purchase", 5, "EUR", { category: "c" }]);</script>`);
  const page = await site.open();
  await page.evaluate(`streamlens.q.push(["track", "later"])`);
  await until(["purchase", "later"]);
  expect(site.events[0]).toMatchObject({ user_id: "u", amount: "5.000000", currency: "EUR", category: "c" });
  await page.context().close();
});

test("a second copy of the script counts nothing twice", async () => {
  site.page(`<script src="/streamlens.js" data-key="k" data-endpoint="https://nowhere.invalid"></script>`);
  const page = await site.open();
  await page.evaluate(`streamlens.track("one")`);
  await until(["page_view", "one"]);
  await page.context().close();
});

test("a session goes on over page loads of a tab, not over tabs; its numbers too", async () => {
  site.page();
  const context = await site.context();
  const page = await site.open("/a", context);
  await until(["page_view"]);
  await page.goto(site.at("/b"));
  await until(["page_view", "page_view"]);
  await site.open("/c", context);
  await until(["page_view", "page_view", "page_view"]);
  const [a, b, c] = site.events;
  expect([a!.session_id, a!.user_id]).toEqual([b!.session_id, b!.user_id]);
  expect(c!.session_id).not.toBe(a!.session_id);
  expect(site.events.map(({ id }) => id.slice(15, 18))).toEqual(["000", "001", "000"]);
  expect(b!.props).toBeUndefined(); // goto has no referrer
  await context.close();
});

/** Everything that the site has in this browser. */
const kept = `[...Object.keys(localStorage), ...Object.keys(sessionStorage), document.cookie].filter(Boolean)`;

test.each([["globalPrivacyControl", true], ["doNotTrack", "1"]])("told to, it obeys %s: nothing kept, nothing sent", async (name, value) => {
  site.page("", "data-respect-do-not-track");
  const context = await site.context();
  await context.addInitScript(`Object.defineProperty(navigator, "${name}", { value: ${JSON.stringify(value)} })`);
  const page = await site.open("/", context);
  await page.evaluate(`streamlens.track("one"); streamlens.purchase(1, "EUR")`);
  expect(await page.evaluate(`streamlens.flush(1000)`)).toBe(true);
  expect(await page.evaluate(kept)).toEqual([]);
  await page.goto("about:blank");
  expect(site.requests).toEqual([]);
  await context.close();
});

test("not told to, it does not ask", async () => {
  site.page();
  const context = await site.context();
  await context.addInitScript(`Object.defineProperty(navigator, "doNotTrack", { value: "1" })`);
  await site.open("/", context);
  await until(["page_view"]);
  await context.close();
});

test("who opts out leaves only that behind, on later visits and in other tabs too", async () => {
  site.page();
  const context = await site.context();
  const [page, other] = [await site.open("/", context), await site.open("/", context)];
  await until(["page_view", "page_view"]);
  await page.evaluate(`streamlens.track("one"); streamlens.optOut(); streamlens.track("two")`);
  await other.evaluate(`streamlens.track("three")`);
  expect(await page.evaluate(kept)).toEqual(["streamlens:out"]);
  await page.reload();
  await other.reload();
  expect(await other.evaluate(`streamlens.flush(1000)`)).toBe(true);
  expect(site.types).toEqual(["page_view", "page_view"]);
  await page.evaluate(`streamlens.optIn(); streamlens.track("four")`);
  await until(["page_view", "page_view", "four"]);
  await context.close();
});

test("without storage nothing is kept, and a session lasts as long as its page", async () => {
  site.page("", `data-storage="false"`);
  const page = await site.open();
  await page.evaluate(`streamlens.track("one")`);
  expect(await page.evaluate(kept)).toEqual([]);
  await until(["page_view", "one"]);
  expect(new Set(site.events.map(({ session_id }) => session_id)).size).toBe(1);
  await page.context().close();
});

test("where storage is forbidden it works all the same", async () => {
  site.page();
  const context = await site.context();
  await context.addInitScript(`
    for (const name of ["localStorage", "sessionStorage"]) {
      Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
    }`);
  await site.open("/", context);
  await until(["page_view"]);
  await context.close();
});
