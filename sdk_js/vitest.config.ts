import { defineConfig } from "vitest/config";

// Chromium takes its time on a busy machine.
export default defineConfig({ test: { include: ["test/**/*.test.ts"], testTimeout: 60_000 } });
