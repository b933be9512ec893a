/**
 * `npm run loss`: what was captured in headless Chromium against what the pipeline counts of it.
 *
 * Exits with 1 when anything is lost or counted twice. One browser; each run has an origin of its own,
 * so nothing of another's in its storage.
 */

import { existsSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Browser, chromium } from "playwright-core";
import { CASES, type Case } from "./cases.js";
import { Pages } from "./pages.js";
import { Proxy } from "./proxy.js";
import { Run } from "./run.js";
import { type Counts, Stack } from "./stack.js";
import { findOnPath } from "./path.js";

const FLAGS = ["--disable-quic", "--disable-sync", "--no-sandbox", "--disable-gpu"];
const VENV = new URL("../../../.venv/bin/python", import.meta.url).pathname;

interface Row {
  case: string;
  runs: number;
  sent: number;
  counted: number;
  lost: number;
  doubled: number;
  returned: number; // runs in which another visit had to deliver
}

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "100" },
    cases: { type: "string", default: Object.keys(CASES).join(";") },
    parallel: { type: "string", default: "8" },
    python: { type: "string", default: existsSync(VENV) ? VENV : "python3" },
    json: { type: "string" },
  },
});

const say = (text: string): void => console.error(`${new Date().toTimeString().slice(0, 8)} ${text}`);

async function play(name: string, work: Case, run: Run): Promise<void> {
  try {
    await work(run);
    await run.end();
  } catch (error) {
    throw new Error(`${name}: ${run.id}`, { cause: error });
  } finally {
    await run.leave();
  }
}

/** All runs of all cases, some at a time; a case's runs are spread, so that all kinds overlap. */
async function playAll(browser: Browser, proxy: Proxy, here: (run: string) => string, there: string): Promise<Map<string, Run[]>> {
  const names = values.cases.split(";");
  const strange = names.filter((name) => !CASES[name]);
  if (strange.length) throw new Error(`no such case: ${strange.join("; ")}`);
  const played = new Map<string, Run[]>(names.map((name) => [name, []]));
  const waiting = Array.from({ length: +values.runs }, (_, n) => names.map((name, place) => ({ name, id: `c${place}r${n}` }))).flat();
  const total = waiting.length;
  let done = 0;
  const worker = async (): Promise<void> => {
    const context = await browser.newContext();
    await context.newPage(); // keeps the window, which costs more than a tab
    for (let next; (next = waiting.shift()); ) {
      const run = new Run(next.id, context, proxy, here(next.id), there);
      played.get(next.name)!.push(run);
      await play(next.name, CASES[next.name]!, run);
      if (++done % 100 === 0) say(`${done} of ${total} runs`);
    }
    await context.close();
  };
  await Promise.all(Array.from({ length: +values.parallel }, worker));
  return played;
}

function table(played: Map<string, Run[]>, { counted }: Counts): Row[] {
  return [...played].map(([name, runs]) => {
    const times = runs.flatMap(({ sent }) => sent.map((n) => counted[n] ?? 0));
    return {
      case: name,
      runs: runs.length,
      sent: times.length,
      counted: times.reduce((sum, n) => sum + n, 0),
      lost: times.filter((n) => n === 0).length,
      doubled: times.filter((n) => n > 1).length,
      returned: runs.filter(({ returned }) => returned).length,
    };
  });
}

function print(rows: Row[]): void {
  const head = ["case", "runs", "sent", "counted", "lost", "doubled", "by another visit"];
  const lines = [head, ...rows.map((row) => Object.values(row).map(String))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const show = (line: string[]) => `| ${line.map((cell, column) => (column ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join(" | ")} |`;
  const rule = widths.map((width, column) => (column ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  console.log([show(lines[0]!), show(rule), ...lines.slice(1).map(show)].join("\n"));
}

async function main(): Promise<number> {
  const began = Date.now();
  const [stack, collector] = await Stack.start(values.python);
  const proxy = new Proxy(collector);
  const pages = new Pages(await proxy.start());
  const browser = await chromium.launch({
    executablePath: findOnPath("chromium"),
    args: FLAGS,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  try {
    const { here, there } = await pages.start();
    const played = await playAll(browser, proxy, here, there);
    const counts = await stack.count();
    const rows = table(played, counts);
    print(rows);
    const { rows: inTopic, repeated } = counts;
    const seconds = Math.round((Date.now() - began) / 1_000);
    say(`Chromium ${browser.version()}, ${proxy.requests} requests, ${inTopic} rows in the topic, ${seconds} s`);
    if (values.json) writeFileSync(values.json, `${JSON.stringify({ browser: browser.version(), seconds, repeated, cases: rows }, null, 2)}\n`);
    return repeated || rows.some(({ lost, doubled }) => lost || doubled) ? 1 : 0;
  } finally {
    await browser.close();
    pages.stop();
    proxy.stop();
    await stack.stop();
  }
}

process.exitCode = await main();
