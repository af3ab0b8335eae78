// Runs every src/**/*.test.ts, and layout.test.mjs on pages built from the fixtures.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { build as buildPage } from "vite";
import { writeFixturePages } from "./fixtures/pages.mjs";

const tests = ["src", "src/fit"].flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith(".test.ts")).map((name) => `${folder}/${name}`));
const entryPoints = tests.map((name) => ({ in: name, out: name.replace(/^src\//, "").replace(/\//g, "-").replace(/\.ts$/, "") }));
await build({ entryPoints, bundle: true, platform: "node", format: "esm", outExtension: { ".js": ".mjs" }, outdir: ".test", logLevel: "warning" });
await buildPage({ mode: "report", logLevel: "warn", build: { outDir: ".test/pages", emptyOutDir: true } });
writeFixturePages(".test/pages");
process.exit(spawnSync(process.execPath, ["--test", ...entryPoints.map(({ out }) => `.test/${out}.mjs`), "layout.test.mjs"], { stdio: "inherit" }).status ?? 1);
