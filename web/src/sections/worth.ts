// Differences and compute multipliers in words.
import type { Multiplier } from "../data";
import { fixed, isNumber, signed } from "../format";

export const interval = (low: unknown, high: unknown, digits: number): string => `${isNumber(low) ? signed(low, digits) : "open"} to ${isNumber(high) ? signed(high, digits) : "open"}`;

// Above it, or below its reciprocal, nothing was measured: such a value stands for a bound, which is the interval's own
// end (kFarthestMultiple of src/evidence).
const kFarthest = 8;
const isOpen = (value: unknown): boolean => !isNumber(value) || value <= 0;
const end = (value: unknown): string => (isNumber(value) && value > 0 ? `${fixed(value, 2)}×` : "open");
const isLowerBound = ({ value, low, high }: Multiplier): boolean => isNumber(value) && !isOpen(low) && !isNumber(high) && (value === low || value >= kFarthest);
const isUpperBound = ({ value, low, high }: Multiplier): boolean => isNumber(value) && isOpen(low) && isNumber(high) && (value === high || value <= 1 / kFarthest);
export const worthRange = (multiplier: Multiplier): string => {
  if (isLowerBound(multiplier)) return "no upper end known";
  if (isUpperBound(multiplier)) return "no lower end known";
  return `${end(multiplier.low)} to ${end(multiplier.high)}`;
};
// "1.14×", or what alone is known: "at least 6.89×".
export const bounded = (multiplier: Multiplier): string => {
  const { value, low, high } = multiplier;
  if (!isNumber(value)) return "cannot be said";
  if (isLowerBound(multiplier) && isNumber(low)) return `at least ${fixed(Math.floor(low * 100) / 100, 2)}×`;
  if (isUpperBound(multiplier) && isNumber(high)) return `at most ${fixed(Math.ceil(high * 1000) / 1000, 3)}×`;
  return `${fixed(value, 2)}×`;
};
