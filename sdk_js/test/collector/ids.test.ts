import { expect, test } from "vitest";
import { uuid7 } from "../../src/collector/ids.js";

test("an id has its time, version, counter and variant where RFC 9562 wants them", () => {
  const ms = 0x0192f3a4b5c6;
  const id = uuid7(ms, 0xabc);
  expect(id).toMatch(/^0192f3a4-b5c6-7abc-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("the counter is modulo 4096", () => {
  expect(uuid7(0, 4_096 + 7).slice(15, 18)).toBe("007");
});

test("ids of one moment and counter differ", () => {
  const ids = Array.from({ length: 2_000 }, () => uuid7(1, 1));
  expect(new Set(ids).size).toBe(2_000);
});

test("Node 18 has no global crypto", () => {
  const { crypto } = globalThis;
  Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
  try {
    expect(uuid7(1, 2)).toMatch(/^00000000-0001-7002-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  } finally {
    Object.defineProperty(globalThis, "crypto", { value: crypto, configurable: true });
  }
});
