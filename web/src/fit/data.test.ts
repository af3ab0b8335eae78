import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { lossDecimals, readFit } from "./data";

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8");

test("nothing known reads as nothing, and is not called damaged", () => {
  for (const text of ["{}", "null", "[]", "7", '{"points":null,"wall":null,"forms":null}']) {
    const data = readFit(text);
    assert.deepEqual([data.points, data.forms, data.forecast, data.damaged], [[], [], [], []]);
    assert.deepEqual([data.wall, data.allocation, data.highest_flops], [null, null, null]);
  }
});

test("the example holds every field of the contract and loses no row", () => {
  const raw = JSON.parse(fixture("fit_example")) as Record<string, unknown>;
  const data = readFit(fixture("fit_example"));
  assert.deepEqual(data.damaged, []);
  assert.deepEqual([...Object.keys(raw), "damaged", "decimals"].sort(), Object.keys(data).sort());
  assert.equal(data.points.length, (raw["points"] as unknown[]).length);
});

test("rows without their numbers are left out and said", () => {
  const data = readFit('{"points":[{"N":1,"D":2,"loss":3},{"N":0,"D":2,"loss":3},null,{"N":"1","D":2,"loss":3}],"words":"no list","off":{}}');
  assert.equal(data.points.length, 1);
  assert.equal(data.damaged.length, 3);
  assert.match(data.damaged.join(" "), /3 of 4 rows of "points" were left out/);
});

test("numbers of another type, and intervals in the wrong order, read as missing", () => {
  const data = readFit('{"forecast":[{"multiply":10,"flops":1,"loss":2,"low":3,"high":1}],"wall":{"verdict":5,"slope":"steep"},"allocation":{"a":"half"},"error_inflation":-1}');
  assert.deepEqual([data.forecast[0]!.low, data.forecast[0]!.high], [null, null]);
  assert.deepEqual([data.wall!.verdict, data.wall!.slope, data.allocation, data.error_inflation], ["cannot tell", null, null, null]);
  assert.deepEqual(readFit('{"forms":[{"name":"a","parameters":{"E":"x","A":1},"interval95":{"A":[2,0],"E":[1]}}]}').forms[0]!.interval95, { A: { low: 0, high: 2 }, E: null });
});

test("what follows from other numbers is computed, and the highest compute is that of the runs", () => {
  const data = readFit('{"points":[{"N":1,"D":1,"C":6,"loss":2.2,"predicted":2}],"backtest_rows":[{"held_out_flops":1,"predicted":1.1,"low":1,"high":1.2,"measured":1}]}');
  assert.ok(Math.abs(data.points[0]!.residual_percent! - 10) < 1e-9);
  assert.ok(Math.abs(data.backtest_rows[0]!.error_percent - 10) < 1e-9);
  assert.equal(data.backtest_rows[0]!.inside, true);
  assert.equal(data.highest_flops, 6);
});

test("losses keep four significant digits", () => {
  assert.deepEqual([[2.31], [0.9], [0.05, 3], [12], []].map(lossDecimals), [3, 4, 5, 2, 3]);
});
