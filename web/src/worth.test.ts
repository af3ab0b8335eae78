import assert from "node:assert/strict";
import { test } from "node:test";
import { bounded, worthRange } from "./sections/worth";

test("multipliers beyond the farthest multiple are bounds, on both sides alike", () => {
  assert.equal(bounded({ value: 8, low: 6.89, high: null }), "at least 8×");
  assert.equal(bounded({ value: 0.125, low: 0, high: 1 / 6.89 }), "at most 0.125×");
  assert.equal(worthRange(6.89, null), "6.89× to open");
  assert.equal(worthRange(0, 1 / 6.89), "open to 0.15×");
  assert.equal(bounded({ value: 8, low: 8, high: null }), "at least 8.00×");
  assert.equal(bounded({ value: 0.125, low: 0, high: 0.125 }), "at most 0.125×");
  assert.equal(worthRange(8, null), "no upper end known");
  assert.equal(worthRange(0, 0.125), "no lower end known");
  assert.equal(bounded({ value: 1.14, low: 1.05, high: 1.22 }), "1.14×");
});
