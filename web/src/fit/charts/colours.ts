// Colours of the runs: by group where the file names groups, by size otherwise.
import * as Plot from "@observablehq/plot";
import { range } from "../../charts/chart";
import { h } from "../../dom";
import { short } from "../../format";
import type { FitPoint } from "../data";

const kSymbols = ["circle", "square", "triangle", "diamond", "cross", "star", "wye", "circle"] as const;
const kMostClasses = 7;

interface Class {
  label: string;
  colour: string;
  symbol: string;
}

export class Colours {
  readonly classes: Class[];
  readonly by: "group" | "size";
  private readonly classOf: (point: FitPoint) => number;

  constructor(points: FitPoint[]) {
    const groups = [...new Set(points.map((point) => point.group))];
    this.by = groups.length > 1 ? "group" : "size";
    const labels = this.by === "group" ? groups.map((group) => group || "no group") : [];
    if (this.by === "group") {
      // Beyond what colours can tell apart, the smaller groups share the last class.
      const count = (group: string): number => points.filter((point) => point.group === group).length;
      const kept = groups.length <= kMostClasses ? groups : [...groups].sort((a, b) => count(b) - count(a)).slice(0, kMostClasses - 1);
      const rest = groups.length - kept.length;
      this.classes = this.paint([...kept.map((group) => labels[groups.indexOf(group)]!), ...(rest > 0 ? [`${rest} other groups`] : [])], true);
      this.classOf = (point) => (kept.includes(point.group) ? kept.indexOf(point.group) : kept.length);
      return;
    }
    const sizes = [...new Set(points.map((point) => point.N))].sort((a, b) => a - b);
    if (sizes.length <= kMostClasses) {
      this.classes = this.paint(sizes.map((size) => `${short(size)} parameters`), false);
      this.classOf = (point) => sizes.indexOf(point.N);
      return;
    }
    const [low, high] = range(sizes);
    const step = Math.log(high / low) / (kMostClasses - 1);
    const edge = (index: number): number => low * Math.exp(step * index);
    this.classes = this.paint(Array.from({ length: kMostClasses - 1 }, (_, index) => `${short(edge(index))} to ${short(edge(index + 1))}`), false);
    this.classOf = (point) => Math.min(kMostClasses - 2, Math.floor(Math.log(point.N / low) / step + 1e-9));
  }

  private paint(labels: string[], symbols: boolean): Class[] {
    const last = Math.max(1, labels.length - 1);
    return labels.map((label, index) => ({ label, colour: `var(--rung-${Math.round((index / last) * 7)})`, symbol: symbols ? kSymbols[index % kSymbols.length]! : "circle" }));
  }

  colour = (point: FitPoint): string => this.classes[this.classOf(point)]?.colour ?? "var(--muted)";
  symbol = (point: FitPoint): string => this.classes[this.classOf(point)]?.symbol ?? "circle";

  legend(): HTMLElement {
    return h(
      "ul",
      { class: "legend", "aria-label": this.by === "group" ? "Groups of runs" : "Parameters" },
      this.classes.map((item) => {
        const key = Plot.plot({ width: 14, height: 14, margin: 0, x: { axis: null, domain: [-1, 1] }, y: { axis: null, domain: [-1, 1] }, style: { background: "none" }, marks: [Plot.dot([0], { x: 0, y: 0, r: 4.5, symbol: item.symbol as Plot.SymbolType, fill: item.colour })] });
        key.setAttribute("aria-hidden", "true");
        return h("li", {}, h("span", { class: "key" }, key), item.label);
      }),
      h("li", { class: "muted" }, this.by === "group" ? "coloured by group" : "parameters"),
    );
  }
}
