// Builds each page, with its script and style inside, into one HTML file: node build.mjs [FOLDER]
import { build } from "vite";

const outDir = process.argv[2] ?? "dist";
for (const page of ["report", "fit"])
  await build({ mode: page, logLevel: "warn", build: { outDir, emptyOutDir: page === "report" } });
