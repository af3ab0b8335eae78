// Numbers as people read them.
import type { MaybeNumber } from "./data";

const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const raise = (exponent: number): string =>
  (exponent < 0 ? "⁻" : "") + [...String(Math.abs(exponent))].map((digit) => superscripts[Number(digit)]).join("");

export const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

// "optimizer.momentum=0.9312": numbers with a fraction of many digits have four significant ones.
export const withShortNumbers = (text: string): string =>
  text.replace(/(?<![\w.])\d+\.\d+(?:[eE][-+]?\d+)?(?![\w.])/g, (number) => (number.replace(/[eE].*/, "").replace(/^[0.]+/, "").replace(".", "").length > 5 ? String(Number(Number(number).toPrecision(4))) : number));

// 3.2×10¹¹; powers of ten as 10¹¹, and what only rounds to one as 1.0×10¹¹.
export function scientific(value: MaybeNumber, digits = 2): string {
  if (!isNumber(value)) return "–";
  if (value === 0) return "0";
  let exponent = Math.floor(Math.log10(Math.abs(value)));
  let mantissa = Number((value / 10 ** exponent).toPrecision(digits));
  if (Math.abs(mantissa) >= 10) {
    mantissa /= 10;
    exponent++;
  }
  if (exponent >= -2 && exponent <= 3) return String(Number(value.toPrecision(digits + 1)));
  if (mantissa !== 1) return `${mantissa}×10${raise(exponent)}`;
  return Math.abs(value / 10 ** exponent - 1) < 0.0015 ? `10${raise(exponent)}` : `${mantissa.toFixed(digits - 1)}×10${raise(exponent)}`;
}

// FLOPs, everywhere with the same digits, so that one level of compute reads alike wherever it stands.
const kFlopsDigits = 3;
export const asFlops = (value: MaybeNumber): string => scientific(value, kFlopsDigits);

// The same, with as many digits as tell these values apart.
export function labelsOf(values: number[]): (value: MaybeNumber) => string {
  const all = new Set(values);
  let digits = kFlopsDigits;
  while (digits < 6 && new Set([...all].map((value) => scientific(value, digits))).size < all.size) digits++;
  return (value) => scientific(value, digits);
}

// "6.5e10" in a sentence from the lab, as the page writes it.
export function withPowers(text: string): string {
  return text.replace(/\b(\d+(?:\.\d+)?)e(-?\d+)\b/g, (_, mantissa: string, exponent: string) => (mantissa === "1" ? "" : `${mantissa}×`) + `10${raise(Number(exponent))}`);
}

// 12.3k, 4.1M, 2B: parameters and tokens.
export function short(value: MaybeNumber, digits = 3): string {
  if (!isNumber(value)) return "–";
  const size = Math.abs(value);
  for (const [limit, unit] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]] as const)
    if (size >= limit * 0.9995) return `${Number((value / limit).toPrecision(digits))}${unit}`;
  return String(Number(value.toPrecision(digits)));
}

export function fixed(value: MaybeNumber, digits = 3): string {
  return isNumber(value) ? value.toFixed(digits) : "–";
}

export function integer(value: MaybeNumber): string {
  return isNumber(value) ? Math.round(value).toLocaleString("en-US").replace(/,/g, "\u202f") : "–";
}

export function percent(value: MaybeNumber, digits = 1): string {
  return isNumber(value) ? `${value.toFixed(digits)}%` : "–";
}

// How much above (+) or below (−) a value lies.
export function signed(value: MaybeNumber, digits = 2): string {
  if (!isNumber(value)) return "–";
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

// "0.42% too high", of a prediction against what was measured.
export function offBy(test: { predicted: number; measured?: MaybeNumber; error_percent?: MaybeNumber }): string {
  if (!isNumber(test.measured) || !isNumber(test.predicted) || test.measured === 0) return "not scored";
  const error = isNumber(test.error_percent) ? Math.abs(test.error_percent) : Math.abs(test.predicted / test.measured - 1) * 100;
  if (error < 0.005) return "exact to 0.01%";
  return `${error.toFixed(2)}% too ${test.predicted > test.measured ? "high" : "low"}`;
}

export function bytes(value: MaybeNumber): string {
  if (!isNumber(value)) return "–";
  for (const [limit, unit] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]] as const)
    if (value >= limit) return `${(value / limit).toPrecision(3)} ${unit}`;
  return `${value} B`;
}

export function duration(seconds: MaybeNumber): string {
  if (!isNumber(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function time(utc: string | null | undefined): string {
  if (!utc) return "–";
  const date = new Date(utc);
  if (Number.isNaN(date.getTime())) return utc;
  return date.toISOString().replace("T", " ").replace(/\.000Z$/, "").replace(/Z$/, "") + " UTC";
}

// Powers of ten inside a domain, and 3 times them when there is room for that.
export function logTicks(low: number, high: number, room: number): number[] {
  const decades = Math.log10(high / low);
  const ticks: number[] = [];
  const step = Math.max(1, Math.ceil((decades * 48) / Math.max(room, 48)));
  for (let e = Math.ceil(Math.log10(low)) - 1; e <= Math.log10(high); e++) {
    if (((e % step) + step) % step === 0) ticks.push(10 ** e);
    if (step === 1 && decades * 110 < room) ticks.push(3 * 10 ** e);
  }
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

// Of a logarithmic axis `room` pixels wide, the ticks whose labels (`text`) have room beside each other, the roundest first.
export function roomyTicks(ticks: number[], low: number, high: number, room: number, text: (value: number) => string): number[] {
  const place = (tick: number): number => (room * Math.log(tick / low)) / Math.log(high / low);
  const half = (tick: number): number => 3.6 * text(tick).length + 4;
  const roundness = (tick: number): number => {
    const mantissa = Number((tick / 10 ** Math.floor(Math.log10(tick) + 1e-9)).toPrecision(6));
    return mantissa === 1 ? 0 : mantissa === 5 || mantissa === 3 ? 1 : mantissa === 2 ? 2 : 3;
  };
  const kept: number[] = [];
  for (const tick of [...ticks].sort((a, b) => roundness(a) - roundness(b) || a - b))
    if (kept.every((other) => Math.abs(place(other) - place(tick)) > half(other) + half(tick))) kept.push(tick);
  return kept.sort((a, b) => a - b);
}

// About `count` round values of a logarithmic axis: equal steps of 1, 2 or 5 where it spans little, 1-2-5 and decades else.
export function ratioTicks(low: number, high: number, count: number): number[] {
  const inside = (tick: number): boolean => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9);
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  if (high / low > 100) return logTicks(low, high, count * 48);
  if (high / low > 5) {
    const decades = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
    return decades.flatMap((decade) => [1, 2, 5].map((factor) => Number((factor * decade).toPrecision(6)))).filter(inside);
  }
  // Equal steps crowd towards the top.
  const apart = Math.log(high / low) / (count * 1.5);
  for (let exponent = first - 9; exponent <= last; exponent++)
    for (const factor of [1, 2, 5]) {
      const step = factor * 10 ** exponent;
      const steps = Math.floor(high / step + 1e-9) - Math.ceil(low / step - 1e-9);
      if (steps >= count || Math.log1p(step / high) < apart) continue;
      return Array.from({ length: steps + 1 }, (_, index) => Number(((Math.ceil(low / step - 1e-9) + index) * step).toPrecision(12)));
    }
  return [low, high];
}
