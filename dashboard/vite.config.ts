/** The dashboard's build: into the service's folder, nothing inline (the service's policy refuses it). */

import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/",
  build: {
    outDir: "../serving/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    reportCompressedSize: false, // scripts/size.mjs does, with a limit
  },
});
