/** Ids: UUIDs of version 7 (RFC 9562): 48 bits of time, 12 of a counter (6.2, method 1), 62 random. */

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

/** Node 18 has no global `crypto`. Ids have to be different, not secret. */
function random8(): Uint8Array {
  const bytes = new Uint8Array(8);
  return globalThis.crypto ? crypto.getRandomValues(bytes) : bytes.map(() => Math.random() * 256);
}

/** A new id. `ms` is the time, `counter` goes into the 12 bits after the version, modulo 4096. */
export function uuid7(ms: number, counter: number): string {
  const time = hex(ms, 12);
  const noise = Array.from(random8(), (byte, place) => hex(place ? byte : (byte & 63) | 128, 2)).join("");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(counter % 4096, 3)}-${noise.slice(0, 4)}-${noise.slice(4)}`;
}
