// Differences and compute multipliers in words.
import type { Multiplier } from "../data";
import { fixed, isNumber, signed } from "../format";

export const interval = (low: unknown, high: unknown, digits: number): string => `${isNumber(low) ? signed(low, digits) : "open"} to ${isNumber(high) ? signed(high, digits) : "open"}`;

// Above it, or below its reciprocal, nothing was measured, so nothing more is said (kFarthestMultiple of src/evidence).
const kFarthest = 8;
const isOpen = (value: unknown): boolean => !isNumber(value) || value <= 0;
export const worth = (value: unknown): string => {
  if (!isNumber(value)) return "cannot be said";
  if (value >= kFarthest) return `at least ${kFarthest}×`;
  return value <= 1 / kFarthest ? `at most ${1 / kFarthest}×` : `${fixed(value, 2)}×`;
};
const end = (value: unknown): string => (isOpen(value) ? "open" : worth(value));
export const worthRange = (low: unknown, high: unknown): string => {
  if (isNumber(low) && low >= kFarthest) return "no upper end known";
  if (isNumber(high) && high <= 1 / kFarthest) return "no lower end known";
  return `${end(low)} to ${end(high)}`;
};
// Only bounded: the base loses, or wins, with so many times the compute.
export const bounded = ({ value, low, high }: Multiplier): string => {
  if (isNumber(value) && value === low && !isNumber(high)) return `at least ${fixed(Math.floor(value * 100) / 100, 2)}×`;
  if (isNumber(value) && value === high && isOpen(low)) return `at most ${fixed(Math.ceil(value * 1000) / 1000, 3)}×`;
  return worth(value);
};
