// `npm run build`: dist/ with an ES module, a script for a tag, and (by tsc) the types.
import { build } from "esbuild";

const shared = { bundle: true, minify: true, target: "es2022", sourcemap: true, legalComments: "none" };

await build({ ...shared, entryPoints: { streamlens: "src/collector/index.ts" }, format: "esm", outdir: "dist" });
await build({ ...shared, entryPoints: { "streamlens.iife": "src/collector/script.ts" }, format: "iife", outdir: "dist" });
