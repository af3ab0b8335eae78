// What all charts share: size that follows the page, colours of the rungs, axes, tips.
import * as Plot from "@observablehq/plot";
import { h } from "../dom";
import { isNumber, labelsOf, logTicks, ratioTicks, roomyTicks, scientific } from "../format";

export interface Size {
  width: number;
  height: number;
  narrow: boolean;
}

// A figure that keeps its height from the start (no layout shift) and is drawn again when its width changes.
export function figure(label: string, caption: string, height: number, draw: (size: Size) => Element): HTMLElement {
  const box = h("div", { class: "chart", style: `min-height:${height}px` });
  let drawn = 0;
  const redraw = (): void => {
    const width = Math.round(box.clientWidth);
    if (width === 0 || width === drawn) return;
    drawn = width;
    const plot = draw({ width, height, narrow: width < 520 });
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", label);
    box.replaceChildren(plot);
  };
  new ResizeObserver(redraw).observe(box);
  return h("figure", {}, box, h("figcaption", {}, caption));
}

export const kStyle = { background: "none", fontSize: "12px", fontFamily: "inherit", overflow: "visible", color: "var(--soft)" } as const;
export const kTip = { fill: "var(--card)", stroke: "var(--line)", textPadding: 9, fontSize: 12.5, lineHeight: 1.35, lineWidth: 28 } as const;

const kPalette = 8;
const kSameRung = 0.005; // of its FLOPs; rungs lie much farther apart

// Rungs in order of compute; their colours are ordered in lightness too, so they survive print and colour blindness.
export class Rungs {
  readonly label: (flops: number | null | undefined) => string; // exact enough to tell neighbours apart
  constructor(readonly flops: number[]) {
    const label = labelsOf(flops);
    this.label = (value) => label(this.nearest(value) ?? value);
  }
  // What was trained for a rung takes a little more or less than the rung's FLOPs, by whole batches.
  private nearest(value: number | null | undefined): number | undefined {
    return isNumber(value) ? this.flops.find((rung) => Math.abs(value / rung - 1) < kSameRung) : undefined;
  }
  colour(flops: number | null | undefined): string {
    const index = this.flops.indexOf(flops ?? NaN);
    if (index < 0) return "var(--muted)";
    const last = Math.max(1, this.flops.length - 1);
    return `var(--rung-${Math.round((index / last) * (kPalette - 1))})`;
  }
  scale(): Plot.ScaleOptions {
    return { type: "ordinal", domain: this.flops, range: this.flops.map((flops) => this.colour(flops)) };
  }
  // Of those that a chart shows; the colours are those of all.
  legend(shown: Set<number>): HTMLElement {
    return h(
      "ul",
      { class: "legend", "aria-label": "Rungs" },
      this.flops.filter((flops) => shown.has(flops)).map((flops) =>
        h("li", {}, h("span", { class: "swatch", style: `background:${this.colour(flops)}` }), `${this.label(flops)} FLOPs`),
      ),
    );
  }
}

// Labels every tick given; a log scale's own tickFormat would leave some blank.
export function bottomAxis(ticks: number[], text: (value: number) => string, label: string): Plot.Markish {
  return Plot.axisX(ticks, { text, label, labelArrow: "none", labelAnchor: "center" });
}

// Round values of a logarithmic axis `room` pixels wide, as many as have room. `text` must not round them.
export function roundAxis(low: number, high: number, room: number, text: (value: number) => string, label: string): Plot.Markish {
  const ticks = high / low > 100 ? logTicks(low, high, room) : ratioTicks(low, high, Math.max(3, Math.round(room / 70)));
  return bottomAxis(roomyTicks(ticks.filter(isNumber), low, high, room, text), text, label);
}

export function flopsAxis(low: number, high: number, room: number): Plot.Markish {
  return roundAxis(low, high, room, (value) => scientific(value, 4), "training FLOPs");
}

// A horizontal line as a dot symbol: the end of an interval.
const kCap = {
  draw(context: CanvasPath, size: number): void {
    const half = Math.sqrt(size / Math.PI);
    context.moveTo(-half, 0);
    context.lineTo(half, 0);
  },
};

// Vertical intervals with caps, because one may be no taller than its dot.
export function intervals<Row>(rows: Row[], x: keyof Row & string, low: keyof Row & string, high: keyof Row & string, stroke: string): Plot.Markish {
  return [
    Plot.ruleX(rows, { x, y1: low, y2: high, stroke, strokeWidth: 2 }),
    [low, high].map((y) => Plot.dot(rows, { x, y, symbol: kCap, r: 7, stroke, strokeWidth: 2 })),
  ];
}

interface Label {
  x: number; // px
  y: number; // px, its middle
  text: string;
}

const kLetter = 8.2; // px, of a forecast's label
const kLabelGap = 6;
const kLabelHeight = 19;

// Labels from left to right, each as far above its mark as it takes to clear those before it.
export function stacked(labels: Label[]): Label[] {
  const placed: Label[] = [];
  const covers = (a: Label, b: Label): boolean => Math.abs(a.x - b.x) < (kLetter * (a.text.length + b.text.length)) / 2 + kLabelGap && Math.abs(a.y - b.y) < kLabelHeight;
  for (const label of [...labels].sort((a, b) => a.x - b.x)) {
    let { y } = label;
    for (let other = placed.find((one) => covers({ ...label, y }, one)); other !== undefined; other = placed.find((one) => covers({ ...label, y }, one))) y = other.y - kLabelHeight;
    placed.push({ ...label, y });
  }
  return placed;
}

// Of forecasts, above their intervals; in pixels, so that they can be kept apart.
export function forecastLabels(labels: Label[]): Plot.Markish {
  return Plot.text(stacked(labels), {
    x: { value: "x", scale: null }, y: { value: "y", scale: null }, text: "text",
    fill: "var(--accent-text)", stroke: "var(--card)", strokeWidth: 4, fontWeight: 650, fontSize: 13,
  });
}

// Where a value lies on an axis of `length` pixels from `start`.
export const logPlace = (value: number, low: number, high: number, start: number, length: number): number => start + (length * Math.log(value / low)) / Math.log(high / low);

// A loop: thousands of learning curves are more values than a call takes arguments.
export function range(values: number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// The value below which `share` of the values lie.
export function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * (sorted.length - 1))))] ?? NaN;
}
