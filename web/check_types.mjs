// Holds JSON that the C++ side writes against the TypeScript type that the page reads it as: fields that the type does not
// know, fields that are missing, and values of another type are errors. The compiler itself judges: the JSON becomes an
// object literal of that type.
//   node check_types.mjs src/fit/data.ts FitPage PAGE.json   prints one line per error; exit status 1 when there is one
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const [module, type, file] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node check_types.mjs MODULE.ts TYPE FILE.json");
  process.exit(2);
}
const web = dirname(fileURLToPath(import.meta.url));
const literal = JSON.stringify(JSON.parse(readFileSync(file, "utf8")), null, 1);
const source = `import type { ${type} } from "./${module.replace(/\.ts$/, "")}";\nexport const data: ${type} = ${literal};\n`;

const { config } = ts.readConfigFile(join(web, "tsconfig.json"), ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, web);
options.skipLibCheck = true;
options.types = [];
const name = resolve(web, "page_data.ts"); // in memory only; beside src/, so that the import is found
const host = ts.createCompilerHost(options);
const { getSourceFile, fileExists } = host;
host.getSourceFile = (path, ...rest) => (resolve(path) === name ? ts.createSourceFile(path, source, options.target) : getSourceFile(path, ...rest));
host.fileExists = (path) => resolve(path) === name || fileExists(path);

const program = ts.createProgram([name], options, host);
const found = [...program.getSyntacticDiagnostics(), ...program.getSemanticDiagnostics(program.getSourceFile(name)), ...program.getGlobalDiagnostics()];
for (const diagnostic of found.slice(0, 20)) {
  const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
  const line = diagnostic.file ? diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start).line : 0;
  console.log(`${type}: ${text.slice(0, 500)} [at ${(source.split("\n")[line] ?? "").trim().slice(0, 100)}]`);
}
process.exit(found.length > 0 ? 1 : 0);
