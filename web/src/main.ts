// The report page: reads the data that the lab embedded and lays out the sections.
import { Rungs } from "./charts/chart";
import { ladderRuns, readData, type ReportData } from "./data";
import { isNumber } from "./format";
import { layout, open, type Section } from "./page";
import { comparisonSection } from "./sections/comparison";
import { costsSection } from "./sections/costs";
import { findingsSection } from "./sections/findings";
import { opening } from "./sections/opening";
import { commandsSection, limitsSection, provenanceSection } from "./sections/record";
import { runsSection } from "./sections/runs";
import { backtestSection, forecastTestSection, isoflopSection, lossSection } from "./sections/scaling";
import { curvesSection, learningRateSection, noiseSection, sampleSection, spendSection } from "./sections/training";

const kSections: Section<[ReportData, Rungs]>[] = [
  { id: "comparison", title: "Is the change real?", short: "Comparison", wide: true, content: comparisonSection },
  { id: "loss", title: "What compute buys", short: "Compute", wide: true, content: lossSection },
  { id: "forecast", title: "Forecast against outcome", short: "Forecast", wide: true, content: forecastTestSection },
  { id: "findings", title: "What was found", short: "Findings", wide: true, content: findingsSection },
  { id: "costs", title: "What recipes cost", short: "Costs", wide: true, content: costsSection },
  { id: "isoflop", title: "The best size at each rung", short: "Sizes", wide: true, content: isoflopSection },
  { id: "backtest", title: "Backtests", short: "Backtests", wide: true, content: backtestSection },
  { id: "noise", title: "Noise floor", short: "Noise", wide: true, content: noiseSection },
  { id: "curves", title: "Learning curves", short: "Curves", wide: true, content: curvesSection },
  { id: "rates", title: "Learning rate and its transfer", short: "Rates", wide: false, content: learningRateSection },
  { id: "spend", title: "Where the budget went", short: "Spend", wide: false, content: spendSection },
  { id: "limits", title: "What was not possible, and why", short: "Limits", wide: true, content: limitsSection },
  { id: "sample", title: "What the best model writes", short: "Sample", wide: true, content: sampleSection },
  { id: "runs", title: "All runs", short: "Runs", wide: true, content: runsSection },
  { id: "repeat", title: "How to repeat it", short: "Repeat", wide: true, content: commandsSection },
  { id: "provenance", title: "Provenance", short: "", wide: true, content: provenanceSection },
];

// What a comparison of two recipes has beside a campaign's: no ladder, no forecast, no search.
const kOfComparisons = new Set(["comparison", "costs", "noise", "spend", "limits", "runs", "repeat", "provenance"]);

function rungsOf(data: ReportData): Rungs {
  const flops = [...ladderRuns(data).map((run) => run.rung_flops), ...data.isoflop.map((rung) => rung.rung_flops), ...data.learning_rate.map((point) => point.rung_flops)];
  return new Rungs([...new Set(flops.filter(isNumber))].sort((a, b) => a - b));
}

open((json) => {
  const data = readData(json);
  if (data.headline) document.title = `${data.headline.split(/[.:;] /)[0]} · Flywheel`;
  const footer = "Losses are bits per byte on the search split unless said otherwise; intervals are 90%. The same numbers are in report.json and results.tsv.";
  const sections = data.report.comparison ? kSections.filter(({ id }) => kOfComparisons.has(id)) : kSections;
  return layout(opening, sections, footer, data, rungsOf(data));
});
