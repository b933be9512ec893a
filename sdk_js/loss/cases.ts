/** What can happen to a page that has captured something. Each case leaves the rest to `Run.end`. */

import type { Page } from "playwright-core";
import { type Action, PASS } from "./proxy.js";
import { type Run, sleep } from "./run.js";

export type Case = (run: Run) => Promise<void>;

const upTo = (ms: number): number => Math.floor(Math.random() * ms);
const either = <T>(...choices: T[]): T => choices[upTo(choices.length)]!;

const CUT: Action = { kind: "cut", after: false };
const UNANSWERED: Action = { kind: "cut", after: true };
const BUSY: Action = { kind: "answer", status: 503 };
const BUSY_2: Action = { kind: "answer", status: 503, retryAfter: "1" };
const LIMITED: Action = { kind: "answer", status: 429, retryAfter: "1" };
const LIMITED_UNTIL = (): Action => ({
  kind: "answer",
  status: 429,
  retryAfter: new Date(Date.now() + 1_500).toUTCString(),
});

const QUOTA_EVENTS = 130; // of 1 KB: twice what beacons may hold

/** Two bursts at any distance, so that requests are waiting, under way, or answered. */
async function busy(run: Run, page: Page): Promise<void> {
  await run.send(page, 1 + upTo(5));
  await sleep(upTo(150));
  await run.send(page, 1 + upTo(5));
}

/** The network does this for a while, with events before, meanwhile and after. */
async function outage(run: Run, actions: () => Action): Promise<Page> {
  const page = await run.open();
  await run.send(page, 1);
  run.network(actions);
  await busy(run, page);
  await sleep(100 + upTo(400));
  return page;
}

async function recovered(run: Run, actions: () => Action): Promise<void> {
  const page = await outage(run, actions);
  run.network(PASS);
  await run.send(page, 1);
  await run.flushed(page);
}

async function left(run: Run, actions: () => Action): Promise<void> {
  const page = await outage(run, actions);
  await run.send(page, 1);
  await page.close();
}

export const CASES: Record<string, Case> = {
  "close the tab": async (run) => {
    const page = await run.open();
    await busy(run, page);
    await sleep(upTo(120));
    await page.close();
  },
  "close in the same task": async (run) => {
    const opener = await run.context.newPage();
    await opener.goto(`${run.here}/elsewhere`);
    const [page] = await Promise.all([
      run.context.waitForEvent("page"),
      opener.evaluate((address) => void window.open(address), run.address),
    ]);
    await page.waitForLoadState();
    const closed = page.waitForEvent("close");
    await run.send(page, 1 + upTo(5), "window.close()");
    await closed;
  },
  "navigate, same origin": async (run) => {
    const page = await run.open();
    await busy(run, page);
    const loaded = page.waitForEvent("load");
    await run.send(page, 2, `location.href = "${run.address}/next"`);
    await loaded;
    await run.send(page, 1);
  },
  "navigate, other origin": async (run) => {
    const page = await run.open();
    await busy(run, page);
    const loaded = page.waitForEvent("load");
    await run.send(page, 2, `location.href = "${run.there}/elsewhere"`);
    await loaded;
  },
  "request under way, navigate": async (run) => {
    run.network(() => ({ kind: "pass", delay: upTo(1_000) }));
    const page = await run.open();
    await run.send(page, 3);
    await sleep(50 + upTo(300));
    const loaded = page.waitForEvent("load");
    await run.send(page, 2, `location.href = "${either(run.here, run.there)}/elsewhere"`);
    await loaded;
  },
  "back from the bfcache": async (run) => {
    run.network(() => ({ kind: "pass", delay: upTo(300) }));
    const page = await run.open();
    await busy(run, page);
    const gone = page.waitForEvent("load");
    await run.send(page, 2, `location.href = "${run.there}/elsewhere"`);
    await gone;
    await sleep(upTo(300));
    await page.evaluate("history.back()").catch(() => {}); // the page is gone before it answers
    await page.waitForURL(run.address, { waitUntil: "commit" });
    await page.waitForFunction("window.persisted !== undefined");
    if (!(await page.evaluate("persisted"))) throw new Error(`${run.id}: not from the bfcache`);
    await busy(run, page);
    await either(() => page.close(), () => run.flushed(page))();
  },
  "cut before the collector has it": (run) => recovered(run, () => CUT),
  "cut, the answer is lost": (run) => recovered(run, () => UNANSWERED),
  "cut, close the tab": (run) => left(run, () => either(CUT, UNANSWERED)),
  "offline, online": async (run) => {
    const page = await run.open();
    await busy(run, page);
    await run.context.setOffline(true);
    await busy(run, page);
    await sleep(upTo(500));
    await run.context.setOffline(false);
    await run.send(page, 1);
    await run.flushed(page);
  },
  "offline, close the tab": async (run) => {
    const page = await run.open();
    await busy(run, page);
    await run.context.setOffline(true);
    await busy(run, page);
    await sleep(upTo(200));
    await page.close();
  },
  "answers 503": (run) => recovered(run, () => either(BUSY, BUSY_2)),
  "answers 429": (run) => recovered(run, () => either(LIMITED, LIMITED_UNTIL())),
  "answers 503 or 429, close the tab": (run) => left(run, () => either(BUSY, BUSY_2, LIMITED)),
  "over the beacon quota": async (run) => {
    const page = await run.open();
    await run.send(page, 1);
    const loaded = page.waitForEvent("load");
    await run.send(page, QUOTA_EVENTS, `location.href = "${run.there}/elsewhere"`, 900);
    await loaded;
  },
  "two tabs, one closes": async (run) => {
    const [one, other] = [await run.open(), await run.open()];
    await Promise.all([busy(run, one), busy(run, other)]);
    await run.send(one, 2);
    await one.close();
    await run.send(other, 2);
    await either(() => other.close(), () => run.flushed(other))();
  },
  "kill the renderer": async (run) => {
    const page = await run.open();
    const devtools = await run.context.newCDPSession(page);
    const crashed = page.waitForEvent("crash");
    await busy(run, page);
    await run.send(page, 2);
    await sleep(upTo(60));
    devtools.send("Page.crash").catch(() => {}); // nobody is left to answer
    await crashed;
  },
};
