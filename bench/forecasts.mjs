// The forecasts of the top rung over the campaigns of a folder: a row each, then their coverage, probability integral
// transform and interval score.   node bench/forecasts.mjs OUT_DIR      (called by forecasts.sh)
import fs from "node:fs";

const out = process.argv[2];
const number = (x, digits) => (x == null ? "-" : x.toFixed(digits));
const campaigns = [];
for (const file of fs.readdirSync(out).filter((name) => name.endsWith(".json")).sort((a, b) => a.localeCompare(b, "en", { numeric: true }))) {
  const name = file.slice(0, -5), text = fs.readFileSync(`${out}/${file}`, "utf8").trim();
  if (text === "") continue;
  const report = JSON.parse(text);
  if (report.backtest?.measured == null) continue;
  const lines = fs.readFileSync(`${out}/${name}/results.tsv`, "utf8").trim().split("\n").slice(1).map((line) => line.split("\t"));
  const rungs = [...new Set(lines.filter((cells) => ["ladder", "top"].includes(cells[1])).map((cells) => +cells[3]))].sort((a, b) => a - b);
  campaigns.push({ corpus: name.replace(/-\d+$/, ""), seed: name.match(/-(\d+)$/)[1], report, rungs, test: report.backtest });
}

console.log("| corpus | seed | runs | rungs | range | predicted | 90% interval | measured | error | inside | PIT | interval score | best size | busy | seconds |");
console.log("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
for (const { corpus, seed, report, rungs, test } of campaigns)
  console.log(
    `| ${corpus} | ${seed} | ${report.spend.runs} | ${rungs.length} | ${number(rungs.at(-1) / rungs[0], 0)}x | ${number(test.predicted, 4)} | ` +
      `${number(test.low, 4)} to ${number(test.high, 4)} | ${number(test.measured, 4)} | ${number(test.error_percent, 2)}% | ` +
      `${test.measured >= test.low && test.measured <= test.high ? "yes" : "no"} | ${number(test.pit, 3)} | ${number(test.interval_score, 2)} | ` +
      `${report.optimum == null ? "-" : report.optimum.identified ? `C^${number(report.optimum.a, 2)}` : "not identified"} | ` +
      `${number(100 * report.spend.slot_busy_fraction, 1)}% | ${number(report.spend.seconds, 0)} |`,
  );

// Wilson 1927.
const wilson = (hits, trials) => {
  const z = 1.96, p = hits / trials, centre = (p + (z * z) / (2 * trials)) / (1 + (z * z) / trials);
  const half = (z / (1 + (z * z) / trials)) * Math.sqrt((p * (1 - p)) / trials + (z * z) / (4 * trials * trials));
  return [centre - half, centre + half];
};
// Standard error of a mean whose corpora are the clusters.
const clustered = (values) => {
  const mean = values.reduce((sum, { x }) => sum + x, 0) / values.length, sums = new Map();
  for (const { corpus, x } of values) sums.set(corpus, (sums.get(corpus) ?? 0) + x - mean);
  const k = sums.size;
  return k < 2 ? null : (Math.sqrt((k / (k - 1)) * [...sums.values()].reduce((sum, s) => sum + s * s, 0)) / values.length);
};
// Kolmogorov's distribution with Stephens' correction for the size of the sample.
const kolmogorov = (values) => {
  const sorted = [...values].sort((a, b) => a - b), n = sorted.length;
  const distance = Math.max(...sorted.map((p, i) => Math.max((i + 1) / n - p, p - i / n)));
  const scaled = (Math.sqrt(n) + 0.12 + 0.11 / Math.sqrt(n)) * distance;
  let p = 0;
  for (let j = 1; j <= 100; ++j) p += 2 * (j % 2 ? 1 : -1) * Math.exp(-2 * j * j * scaled * scaled);
  return { distance, p: Math.min(1, Math.max(0, p)) };
};

const tests = campaigns.map(({ corpus, test }) => ({ corpus, ...test }));
if (tests.length > 0) {
  const errors = tests.map((t) => Math.abs(t.error_percent)).sort((a, b) => a - b), n = tests.length;
  const inside = tests.filter((t) => t.measured >= t.low && t.measured <= t.high).length;
  const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const median = (values) => ((sorted) => 0.5 * (sorted[(n - 1) >> 1] + sorted[n >> 1]))([...values].sort((a, b) => a - b));
  const bounds = wilson(inside, n);
  const spread = clustered(tests.map((t) => ({ corpus: t.corpus, x: t.measured >= t.low && t.measured <= t.high ? 1 : 0 })));
  console.log(`\n${n} campaigns: median error ${number(median(errors), 2)}%, root mean square ${number(Math.sqrt(mean(errors.map((e) => e * e))), 2)}%, mean ${number(mean(tests.map((t) => t.error_percent)), 2)}%; median half-width ${number(median(tests.map((t) => 50 * Math.log(t.high / t.low))), 2)}%.`);
  console.log(`Inside the 90% interval: ${inside} of ${n}, ${number(inside / n, 3)} (95% interval ${number(bounds[0], 3)} to ${number(bounds[1], 3)}, Wilson${spread == null ? "" : `; standard error clustered by corpus ${number(spread, 3)}`}).`);
  const pits = tests.map((t) => t.pit).filter((p) => p != null);
  if (pits.length > 0) {
    const bins = Array(10).fill(0);
    for (const p of pits) ++bins[Math.min(9, Math.floor(10 * p))];
    const test = kolmogorov(pits);
    console.log(`PIT in tenths: ${bins.join(" ")}; mean ${number(mean(pits), 3)}, Kolmogorov-Smirnov distance ${number(test.distance, 3)} (p ${number(test.p, 2)}).`);
    console.log(`Interval score (log loss, percent): mean ${number(mean(tests.map((t) => t.interval_score)), 2)}.`);
  }
}
