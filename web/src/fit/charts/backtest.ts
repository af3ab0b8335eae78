// Backtests: each measured loss against the interval that was predicted for it.
import { intervalChart } from "../../charts/intervals";
import { missing } from "../../dom";
import { asFlops } from "../../format";
import type { BacktestRow, FitData } from "../data";

// More rows than this are no longer read one by one; the table has them all.
const kMostDrawn = 24;

export function backtestChart(data: FitData): HTMLElement | null {
  const rows = data.backtest_rows.filter((row) => row.low !== null && row.high !== null) as (BacktestRow & { low: number; high: number })[];
  if (rows.length === 0) return missing("Not drawn: no single backtest with an interval is in the file.");
  const sorted = [...rows].sort((a, b) => b.held_out_flops - a.held_out_flops || (b.train_below_flops ?? 0) - (a.train_below_flops ?? 0));
  const step = Math.ceil(sorted.length / kMostDrawn);
  const drawn = sorted.filter((_, index) => index % step === 0);
  return intervalChart(
    drawn.map((row) => ({ label: `${asFlops(row.held_out_flops)}${row.train_below_flops === null ? "" : ` from ${asFlops(row.train_below_flops)}`}`, predicted: row.predicted, low: row.low, high: row.high, measured: row.measured })),
    `Bar: the 90% interval predicted for the best run at the first FLOPs from runs up to the second only. Dot: what was measured; hollow where it lies outside. Zero is the prediction.${step > 1 ? ` Every ${step === 2 ? "second" : `${step}th`} of ${sorted.length} is drawn.` : ""}`,
    { rowHeight: drawn.length > 8 ? 24 : 34, decimals: data.decimals },
  );
}
