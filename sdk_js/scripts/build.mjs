// `npm run build`: dist/ with an ES module, a script for a tag, and (by tsc) the types.
import { build } from "esbuild";

// Names of our own between modules. Nothing of a browser's, of an event's or of a caller's is among them.
const INTERNAL = /^(beaconed|held|sent|bytes|batchBytes|queueBytes|silent|online|transport|beacon|store|adopt|leave|wake|stamp|later|batches|forget|save|events|clear|drop|put|post|stop)$/;

const shared = { bundle: true, minify: true, target: "es2022", legalComments: "none", outdir: "dist" };
const collector = { ...shared, mangleProps: INTERNAL };
const modules = { format: "esm", sourcemap: true };

await build({ ...collector, ...modules, entryPoints: { streamlens: "src/collector/index.ts" } });
await build({ ...collector, format: "iife", entryPoints: { "streamlens.iife": "src/collector/script.ts" } });
await build({ ...shared, ...modules, entryPoints: { live: "src/live/index.ts" } });
