// Differences and compute multipliers in words.
import type { Multiplier } from "../data";
import { fixed, isNumber, signed } from "../format";

export const interval = (low: unknown, high: unknown, digits: number): string => `${isNumber(low) ? signed(low, digits) : "open"} to ${isNumber(high) ? signed(high, digits) : "open"}`;

// Beyond it nothing was measured, so nothing more is said (kFarthestMultiple of src/evidence).
const kFarthest = 8;
export const worth = (value: unknown): string => (!isNumber(value) ? "cannot be said" : value >= kFarthest ? `at least ${kFarthest}×` : `${fixed(value, 2)}×`);
export const worthRange = (low: unknown, high: unknown): string => isNumber(low) && low >= kFarthest ? "no upper end known" : `${isNumber(low) ? worth(low) : "open"} to ${isNumber(high) ? worth(high) : "open"}`;
// Only bounded: the base loses with so many times the compute.
export const bounded = ({ value, low, high }: Multiplier): string => (isNumber(value) && value === low && !isNumber(high) ? `at least ${fixed(Math.floor(value * 100) / 100, 2)}×` : worth(value));
