/** What the built dashboard weighs: script, gzip, in all at most 60 KB. Run after the build. */

import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 60 * 1024; // bytes
const folder = new URL("../../serving/static/", import.meta.url);

let total = 0;
for (const name of readdirSync(folder, { recursive: true }).sort()) {
  if (!/\.(js|css|html)$/.test(name)) continue;
  const bytes = gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length;
  if (name.startsWith("assets") && name.endsWith(".js")) total += bytes;
  console.log(`${String(bytes).padStart(7)}  ${name}`);
}
console.log(`${String(total).padStart(7)}  script in all, gzip; the limit is ${LIMIT}`);
if (total === 0 || total > LIMIT) {
  console.error(total === 0 ? "size: nothing is built" : "size: over the limit");
  process.exit(1);
}
