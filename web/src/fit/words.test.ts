import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { splitFrontier } from "./charts/compute";
import { placeLabels } from "./charts/labels";
import { residualReach, runningMedian } from "./charts/residuals";
import { spaced, withBest } from "./charts/allocation";
import { readFit, type FitPoint } from "./data";
import { absent, allocationSentence, backtestScore, coverageVerdict, facts, headline, residualSummary, wallSentence } from "./words";

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8");

test("a page of nothing says so everywhere and invents no number", () => {
  const data = readFit("{}");
  const words = [headline(data), ...facts(data), residualSummary(data), allocationSentence(data), wallSentence(data), coverageVerdict([]), ...Object.values(backtestScore(data)), ...absent(data)].join(" ");
  assert.doesNotMatch(words, /NaN|Infinity|undefined|null/);
  assert.equal(headline(data), "No run could be read");
  assert.equal(absent(data).length, 7);
});

test("the headline carries the interval, or says that there is none", () => {
  const plain = (text: string): string => text.replace(/\u00a0/g, " ");
  assert.equal(plain(headline(readFit('{"unit":"nats per token","forecast":[{"multiply":10,"flops":1,"loss":2.5,"low":2.4,"high":2.6}],"wall":{"verdict":"none seen"}}'))), "10× the compute is forecast to reach 2.500 nats per token (90%: 2.400 to 2.600); no wall seen");
  assert.match(headline(readFit(fixture("fit_sparse"))), /with no interval; a wall can be neither seen nor excluded$/);
});

test("an allocation is called even only when its interval holds 0.5", () => {
  const sentence = (low: unknown, high: unknown): string => allocationSentence(readFit(JSON.stringify({ allocation: { a: 0.55, low, high, level: 95 } })));
  assert.match(sentence(0.46, 0.6), /\(95%: 0\.46 to 0\.60\), its tokens to the power 0\.45 \(0\.40 to 0\.54\).*within the interval/);
  assert.match(sentence(0.52, 0.6), /size should grow faster/);
  assert.doesNotMatch(sentence(null, null), /0\.5\)|should/);
});

test("coverage of few backtests is not called evidence", () => {
  const row = { train_below_flops: 1, held_out_flops: 3, predicted: 1, low: 0.9, high: 1.1, measured: 1, error_percent: 0, inside: true, points: 9 };
  assert.match(coverageVerdict([row, row]), /so few say little/);
  assert.match(coverageVerdict(Array(20).fill(row)), /^20 of 20 .* about 18 should\. .*fewer than 20/);
  assert.match(backtestScore(readFit('{"backtest":[{"k":3,"median_error_percent":0.5,"coverage90":0.9}]}')).note, /3× the compute fitted; 90% inside/);
});

test("the frontier is cut at the highest compute, without a gap", () => {
  const at = (flops: number, loss: number) => ({ flops, loss, low: loss * 0.9, high: loss * 1.1 });
  const { within, beyond } = splitFrontier([at(1, 4), at(100, 1)], 10);
  assert.deepEqual(within.map((point) => point.flops), [1, 10]);
  assert.deepEqual(beyond.map((point) => point.flops), [10, 100]);
  assert.ok(Math.abs(beyond[0]!.loss - 2) < 1e-12);
  assert.deepEqual(splitFrontier([at(1, 4), at(10, 2), at(100, 1)], 10).beyond.map((point) => point.flops), [10, 100]);
  assert.deepEqual(splitFrontier([at(1, 4)], null).beyond, []);
});

test("labels never cover each other, and the first have priority", () => {
  const crowd = Array.from({ length: 12 }, (_, index) => ({ x: 100 + index, y: 60, text: `row ${index}` }));
  const placed = placeLabels(crowd, 300, 120);
  assert.equal(placed[0]!.text, "row 0");
  assert.ok(placed.length >= 2 && placed.length < 12);
  assert.ok(placeLabels([{ x: 290, y: 60, text: "row 1" }], 300, 120)[0]!.end, "at the right edge the text ends at its mark");
});

test("one far outlier does not flatten the other residuals", () => {
  const point = (residual_percent: number, outlier: boolean) => ({ N: 1, D: 1, C: 1, loss: 1, predicted: 1, residual_percent, outlier, row: 1, group: "" }) satisfies FitPoint;
  assert.ok(residualReach([point(1, false), point(40, true)]) < 4);
  assert.ok(residualReach([point(1, false), point(-2, true)]) > 2);
  assert.ok(residualReach([point(0, false)]) > 0);
});

test("a running median needs enough runs", () => {
  const points = Array.from({ length: 48 }, (_, index) => ({ at: index + 1, value: index < 24 ? 1 : -1 }));
  assert.deepEqual(runningMedian(points).map((point) => point.value), [1, 1, 1, -1, -1, -1]);
  assert.deepEqual(runningMedian(points.slice(0, 20)), []);
});

test("the best size keeps its label where others crowd it", () => {
  assert.deepEqual(spaced([0.5, 0.9, 1, 1.1, 2], 0.4), [0.5, 1, 2]);
});

test("the best size costs nothing", () => {
  const row = (factor: number, extra_loss_percent: number) => ({ factor, extra_loss_percent });
  assert.deepEqual(withBest([row(0.5, 1), row(2, 0.8)]), [row(0.5, 1), row(1, 0), row(2, 0.8)]);
});
