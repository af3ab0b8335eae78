import assert from "node:assert/strict";
import { test } from "node:test";
import { bounded, worthRange } from "./sections/worth";

test("a bound is the interval's own end, on both sides alike", () => {
  const cases: [{ value: number | null; low: number | null; high: number | null }, string, string][] = [
    [{ value: 8, low: 6.89, high: null }, "at least 6.89×", "no upper end known"],
    [{ value: 0.125, low: 0, high: 1 / 6.89 }, "at most 0.146×", "no lower end known"],
    [{ value: 8, low: 8, high: null }, "at least 8.00×", "no upper end known"],
    [{ value: 0.125, low: 0, high: 0.125 }, "at most 0.125×", "no lower end known"],
    [{ value: 1.14, low: 1.05, high: 1.22 }, "1.14×", "1.05× to 1.22×"],
    [{ value: 3, low: 2, high: null }, "3.00×", "2.00× to open"],
    [{ value: 12, low: 9, high: 16 }, "12.00×", "9.00× to 16.00×"],
    [{ value: null, low: 1, high: null }, "cannot be said", "1.00× to open"],
  ];
  for (const [multiplier, value, range] of cases) assert.deepEqual([bounded(multiplier), worthRange(multiplier)], [value, range]);
});
