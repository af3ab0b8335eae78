// The page of a fit: reads the data that `flywheel fit --report` embedded and lays out the sections.
import { layout, open, type Section } from "../page";
import { readFit, type FitData } from "./data";
import { allocationSection, offSection } from "./sections/allocation";
import { computeSection, formsSection, residualSection } from "./sections/law";
import { opening } from "./sections/opening";
import { backtestSection, repeatSection, wallSection, wordsSection } from "./sections/trust";
import { unitOf } from "./words";

const kSections: Section<[FitData]>[] = [
  { id: "loss", title: "Loss against compute", short: "Compute", wide: true, content: computeSection },
  { id: "words", title: "What can and cannot be concluded", short: "Conclusions", wide: true, content: wordsSection },
  { id: "residuals", title: "What the law leaves unexplained", short: "Residuals", wide: true, content: residualSection },
  { id: "forms", title: "Forms of the law", short: "Forms", wide: true, content: formsSection },
  { id: "backtest", title: "How such forecasts did on these runs", short: "Backtests", wide: true, content: backtestSection },
  { id: "allocation", title: "Size or tokens", short: "Allocation", wide: true, content: allocationSection },
  { id: "off", title: "What a size off the best costs", short: "Off size", wide: false, content: offSection },
  { id: "wall", title: "Wall test", short: "Wall", wide: false, content: wallSection },
  { id: "repeat", title: "How to repeat it", short: "Repeat", wide: true, content: repeatSection },
];

open((json) => {
  const data = readFit(json);
  if (data.title) document.title = `${data.title} · Flywheel fit`;
  const footer = `Losses are ${unitOf(data)}; their intervals are 90%, those of a law's parameters 95%; others as said beside them. N: parameters, D: tokens, C: training FLOPs.`;
  return layout(opening, kSections, footer, data);
});
