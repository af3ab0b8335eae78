// Turns a built page into a C++ source that holds it as one string: node embed.mjs report.html page_templates.h kReportTemplate
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const [page, output, name] = process.argv.slice(2);
const bytes = readFileSync(page);
const html = bytes.toString("utf8");
const close = ')flywheel_page"';
if (html.includes(close) || html.includes("\0") || html.includes("\r")) throw new Error(`${page} cannot be a raw literal`);
// Compilers limit one literal's length; neighbouring literals are joined.
const pieces = [];
for (let start = 0; start < html.length; ) {
  let end = Math.min(start + 8000, html.length);
  if (/[\ud800-\udbff]/.test(html[end - 1])) end--;
  pieces.push(`R"flywheel_page(${html.slice(start, end)})flywheel_page"`);
  start = end;
}
mkdirSync(dirname(output), { recursive: true });
writeFileSync(
  output,
  `// Generated from web/ by embed.mjs.\n#include "report/page_templates.h"\n\nnamespace flywheel::report {\n\n` +
    `constexpr char kText[] =\n${pieces.join("\n")};\nconst std::string_view ${name}(kText, ${bytes.length});\n\n}  // namespace flywheel::report\n`,
);
