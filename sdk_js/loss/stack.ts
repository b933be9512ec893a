/** The real collector, with Kafka and Valkey: a Python program that is spoken to by lines of JSON. */

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";

const REPOSITORY = new URL("../../../", import.meta.url); // from dist/loss/

export interface Counts {
  counted: Record<string, number>; // by `props.n`: how often the pipeline counts it
  rows: number; // in the topic, repeats too
  repeated: number; // event ids that are counted more than once
}

export class Stack {
  readonly #lines: AsyncIterator<string>;
  readonly #input: Interface;

  private constructor(readonly process: ChildProcess) {
    this.#input = createInterface({ input: process.stdout! });
    this.#lines = this.#input[Symbol.asyncIterator]();
  }

  /** The stack and the collector's address. */
  static async start(python: string): Promise<[Stack, string]> {
    const child = spawn(python, ["-m", "tests.integration.loss_stack"], {
      cwd: REPOSITORY,
      stdio: ["pipe", "pipe", "inherit"],
    });
    const stack = new Stack(child);
    const { collector } = (await stack.#answer()) as { collector: string };
    return [stack, collector];
  }

  async count(): Promise<Counts> {
    this.process.stdin!.write("count\n");
    return (await this.#answer()) as Counts;
  }

  /** Ends when its input does. */
  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return;
    const ended = new Promise((done) => this.process.once("exit", done));
    this.process.stdin!.end();
    await ended;
  }

  async #answer(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the collector's stack ended; see what it said above");
    return JSON.parse(value as string);
  }
}
