import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readData } from "./data";

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8");

test("a campaign that got nowhere reads as empty lists", () => {
  for (const text of ["{}", "null", "[]", '{"runs":null,"report":null,"sample":null}']) {
    const data = readData(text);
    assert.deepEqual(data.runs, []);
    assert.deepEqual(data.frontier, []);
    assert.equal(data.forecast_test, null);
    assert.equal(data.report.schema, 1);
  }
});

test("a run or a rung without its lists gets empty ones", () => {
  const data = readData('{"runs":[{"id":"a"}],"isoflop":[{"rung_flops":1,"minimum":null}]}');
  assert.deepEqual(data.runs[0]!.curve, []);
  assert.deepEqual(data.isoflop[0]!.points, []);
});

test("the fixtures hold every field of the contract", () => {
  const keys = (text: string): string[] => Object.keys(JSON.parse(text)).sort();
  const contract = Object.keys(readData("{}")).sort();
  assert.deepEqual(keys(fixture("example")), contract);
  assert.deepEqual(keys(fixture("hostile")), contract);
  assert.deepEqual(Object.keys(readData(fixture("example"))).sort(), contract);
});
