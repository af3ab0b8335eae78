// Runs every src/**/*.test.ts.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

const tests = ["src", "src/fit"].flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith(".test.ts")).map((name) => `${folder}/${name}`));
const entryPoints = tests.map((name) => ({ in: name, out: name.replace(/^src\//, "").replace(/\//g, "-").replace(/\.ts$/, "") }));
await build({ entryPoints, bundle: true, platform: "node", format: "esm", outExtension: { ".js": ".mjs" }, outdir: ".test", logLevel: "warning" });
process.exit(spawnSync(process.execPath, ["--test", ...entryPoints.map(({ out }) => `.test/${out}.mjs`)], { stdio: "inherit" }).status ?? 1);
