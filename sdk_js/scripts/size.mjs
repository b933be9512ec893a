// `npm run size`: what a page has to load, min+gzip. Fails above the limit, in bytes.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMITS = { "streamlens.js": 4_096, "streamlens.iife.js": 4_096, "live.js": 5_120 };

for (const [name, limit] of Object.entries(LIMITS)) {
  const plain = readFileSync(`dist/${name}`, "utf8").replace(/\n\/\/# sourceMappingURL=.*/, "");
  const size = gzipSync(plain, { level: 9 }).length;
  console.log(`${name}: ${plain.length} bytes min, ${size} min+gzip, limit ${limit}`);
  if (size > limit) process.exitCode = 1;
}
