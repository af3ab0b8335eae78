import assert from "node:assert/strict";
import { test } from "node:test";
import { Rungs, stacked } from "./charts/chart";
import { statesOf, type Run } from "./data";
import { asFlops, bytes, duration, fixed, labelsOf, logTicks, offBy, percent, ratioTicks, roomyTicks, scientific, short, signed, time, withPowers, withShortNumbers } from "./format";

test("numbers too large or small for plain digits become powers of ten", () => {
  assert.equal(scientific(1e12), "10¹²");
  assert.equal(scientific(3.4e13), "3.4×10¹³");
  assert.equal(scientific(9.99e11), "10¹²");
  assert.equal(scientific(2.5e-7), "2.5×10⁻⁷");
  assert.equal(scientific(0), "0");
  assert.equal(scientific(12), "12");
});

test("long fractions in a change are shortened, and nothing else", () => {
  assert.equal(withShortNumbers("optimizer.momentum=0.93121234567, b=0.00012345678"), "optimizer.momentum=0.9312, b=0.0001235");
  for (const kept of ["model.width=123456789", "x=0.25", "x=0.12345", "p1.2345678", "v1_2.3456789", "3.", ""]) assert.equal(withShortNumbers(kept), kept);
});

test("units follow the size, also where rounding crosses one", () => {
  assert.equal(short(999), "999");
  assert.equal(short(154_321), "154k");
  assert.equal(short(999_900), "1M");
  assert.equal(short(11.9e9), "11.9B");
  assert.equal(bytes(171_234_567), "171 MB");
  assert.equal(duration(598.2), "9 min 58 s");
  assert.equal(duration(59.7), "1 min 0 s");
  assert.equal(duration(3_725), "1 h 2 min");
});

test("what was not measured is a dash, never NaN or null", () => {
  for (const value of [null, undefined, NaN, Infinity])
    for (const show of [scientific, short, fixed, percent, signed, bytes, duration]) assert.equal(show(value), "–");
  assert.equal(time(null), "–");
  assert.equal(time("not a date"), "not a date");
});

test("a forecast is too high when it lies above what was measured", () => {
  assert.equal(offBy({ predicted: 1.01, measured: 1, error_percent: 1 }), "1.00% too high");
  assert.equal(offBy({ predicted: 0.99, measured: 1, error_percent: -1 }), "1.00% too low");
  assert.equal(offBy({ predicted: 0.99, measured: 1 }), "1.00% too low");
  assert.equal(offBy({ predicted: 1, measured: null }), "not scored");
});

test("log ticks lie inside the domain and thin out where there is no room", () => {
  const wide = logTicks(2e10, 6e14, 1000);
  assert.ok(wide.every((tick) => tick >= 2e10 && tick <= 6e14));
  assert.ok(wide.includes(1e12) && wide.some((tick) => Math.abs(tick / 3e12 - 1) < 1e-9));
  assert.ok(logTicks(1, 1e30, 200).length <= 6);
});

test("ticks of a short logarithmic axis are round, equal steps inside it", () => {
  for (const [low, high] of [[1.86, 3.3], [0.91, 1.02], [2.31, 2.33], [11, 48], [1, 5]] as const) {
    const ticks = ratioTicks(low, high, 8);
    assert.ok(ticks.length >= 3 && ticks.length <= 9, `${low} to ${high}: ${ticks}`);
    assert.ok(ticks.every((tick) => tick >= low * 0.999999 && tick <= high * 1.000001));
    for (let i = 2; i < ticks.length; i++) assert.ok(Math.abs(ticks[i]! - 2 * ticks[i - 1]! + ticks[i - 2]!) < 1e-9, `${ticks}`);
  }
  assert.deepEqual(ratioTicks(0.8, 25, 8), [1, 2, 5, 10, 20]);
});

test("labels have as many digits as tell their values apart, and never hide the second one", () => {
  assert.equal(scientific(6.5e10), "6.5×10¹⁰");
  assert.equal(scientific(1.3e10), "1.3×10¹⁰");
  assert.equal(scientific(1.04e10), "1.0×10¹⁰"); // 10¹⁰ would be another value
  const label = labelsOf([1.41e10, 1.43e10, 6.5e10]);
  assert.deepEqual([1.41e10, 1.43e10, 6.5e10].map(label), ["1.41×10¹⁰", "1.43×10¹⁰", "6.5×10¹⁰"]);
});

test("one level of compute has one label", () => {
  assert.equal(asFlops(1.64987e11), "1.65×10¹¹");
  const rungs = new Rungs([7.2048675e10, 1.6498745e11]);
  for (const near of [1.64987452620e11, 1.65000388608e11, 1.64975277056e11, 1.6554e11]) assert.equal(rungs.label(near), "1.65×10¹¹");
  assert.equal(rungs.label(1.7e11), "1.7×10¹¹", "of no rung");
});

test("labels of forecasts are lifted over those they would cover", () => {
  const row = (x: number): { x: number; y: number; text: string } => ({ x, y: 100, text: "3×" });
  const placed = stacked([row(40), row(50), row(45), row(300)]);
  assert.equal(new Set(placed.slice(0, 3).map((label) => label.y)).size, 3);
  assert.deepEqual([placed[0]!.y, placed[3]!.y], [100, 100]);
});

test("what states runs are in is told where not all are done", () => {
  const runs = (...states: string[]): Run[] => states.map((state) => ({ state }) as Run);
  assert.equal(statesOf(runs("done", "done")), "all done");
  assert.equal(statesOf(runs("planned", "done", "stopped", "done")), "2 done, 1 stopped, 1 planned");
});

test("powers in the lab's sentences are written as on the rest of the page", () => {
  assert.equal(withPowers("With 10 times the 6.5e10 FLOPs, 1e12 more"), "With 10 times the 6.5×10¹⁰ FLOPs, 10¹² more");
  assert.equal(withPowers("recipe 5e8f of lab3e"), "recipe 5e8f of lab3e");
});

test("labels of a logarithmic axis keep clear of each other, the roundest first", () => {
  const text = (value: number): string => scientific(value, 4);
  const ticks = roomyTicks([1e10, 2e10, 5e10, 1e11, 2e11], 1e10, 2e11, 120, text);
  assert.deepEqual(ticks, [1e10, 1e11]);
  assert.deepEqual(roomyTicks([1e10, 2e10, 5e10, 1e11, 2e11], 1e10, 2e11, 1200, text).length, 5);
});
