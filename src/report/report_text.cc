#include "report/report_text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/format.h"
#include "base/json.h"
#include "base/statistics.h"
#include "campaign/options.h"
#include "campaign/points.h"
#include "report/comparison_text.h"
#include "report/cost_text.h"
#include "report/multiplier_text.h"
#include "report/report_json.h"
#include "report/text_rows.h"

namespace flywheel::report {
namespace {

template <typename R>
std::optional<R> last_of(const ledger::Ledger& ledger) {
  const auto found = ledger.last<R>();
  return found ? std::optional(found->value) : std::nullopt;
}

const OrderedJson* number_in(const OrderedJson& object, const char* field) {
  if (!object.is_object() || !object.contains(field) || !object.at(field).is_number()) return nullptr;
  return &object.at(field);
}

std::string fixed(double value, int digits) {
  return fmt::format("{:.{}f}", value, digits);
}

// "1.919 bits per byte (90% interval: 1.834 to 2.009)"
std::string loss_text(double value, double low, double high, int digits, const char* interval) {
  std::string text = fixed(value, digits) + " bits per byte";
  if (std::isfinite(low) && std::isfinite(high))
    text += fmt::format(" ({}: {} to {})", interval, fixed(low, digits), fixed(high, digits));
  return text;
}

std::vector<ledger::FindingRecord> adopted_findings(const ledger::Ledger& ledger) {
  std::vector<ledger::FindingRecord> findings;
  for (auto& record : ledger.all<ledger::FindingRecord>()) findings.push_back(std::move(record.value));
  // Left out again by the ablation.
  for (const auto& proposal : ledger.all<ledger::ProposalRecord>())
    if (proposal.value.outcome == protocol::Outcome::kDropped)
      std::erase_if(findings, [&](const auto& finding) { return finding.id == proposal.value.id; });
  return findings;
}

// What all adopted changes are worth together: measured as one on the audit split, at the highest rung that says
// something; else the product of the findings, each measured on top of the ones before it.
struct Total {
  ledger::Interval multiplier;
  double flops = 0;  // of the runs that measured it; 0: of several rungs
};
std::optional<Total> total_multiplier(const ledger::Ledger& ledger,
                                      const std::vector<ledger::FindingRecord>& findings) {
  for (const auto& gain : ledger.all<ledger::GainRecord>()) {
    if (gain.value.split == protocol::Split::kLocked) continue;
    std::optional<Total> best;
    for (const ledger::GainRecord::Rung& rung : gain.value.rungs)
      if (std::isfinite(rung.effect.multiplier.value)) best = Total{rung.effect.multiplier, rung.effect.flops};
    if (best) return best;
  }
  // Independent errors add up in logarithms; an open end leaves the product's open.
  double value = 0, below = 0, above = 0;
  for (const ledger::FindingRecord& finding : findings) {
    const ledger::Interval& own = finding.multiplier;
    if (!(own.value > 0) || !std::isfinite(own.value)) return std::nullopt;
    value += std::log(own.value);
    below += own.low > 0 ? std::pow(std::log(own.value / own.low), 2) : INFINITY;
    above += std::pow(std::log(own.high / own.value), 2);
  }
  const double low = std::isfinite(below) ? std::exp(value - std::sqrt(below)) : -INFINITY;
  return Total{{std::exp(value), low, std::exp(value + std::sqrt(above))}};
}

std::string changes_text(size_t n) {
  return n == 1 ? "the change" : fmt::format("the {} changes", n);
}

// What was tried, where nothing was adopted: most changes are only screened, and what was not tested did not fail.
std::string nothing_passed(const ledger::SearchRecord& search) {
  const auto changes = [](int64_t n) { return fmt::format("{} change{}", n, n == 1 ? "" : "s"); };
  const auto failed = search.outcomes.find(std::string(name(protocol::Outcome::kFailed)));
  const int64_t not_run = failed == search.outcomes.end() ? 0 : failed->second, ran = search.tried - not_run;
  const char* were = ran == 1 ? "was" : "were";
  const std::string without =
      not_run > 0 ? fmt::format("; {} could not be trained (report.html says why)", changes(not_run)) : "";
  if (search.tests == 0)
    return fmt::format("{} to the recipe {} screened, and none was tested{}", changes(ran), were, without);
  if (search.tests >= ran)
    return fmt::format("{} to the recipe {} tested, and none passed{}", changes(ran), were, without);
  return fmt::format("{} to the recipe {} screened, {} of them tested, and none passed{}", changes(ran), were,
                     search.tests, without);
}

// Why there was no search, as it was said then; empty: there was one, or none was asked for.
std::string why_no_search(const ledger::Ledger& ledger) {
  const auto decision = last_of<ledger::SearchDecision>(ledger);
  if (!decision || decision->enough || decision->limits.empty()) return "";
  return decision->limits.front();
}

std::string found_sentence(const ledger::Ledger& ledger) {
  const auto search = last_of<ledger::SearchRecord>(ledger);
  const std::vector<ledger::FindingRecord> findings = adopted_findings(ledger);
  if (findings.empty()) {
    if (!search)
      return ledger.last<ledger::ReportRecord>()
                 ? fmt::format("This lab measured one recipe and tried no changes to it.{}{}",
                               why_no_search(ledger).empty() ? "" : " ", why_no_search(ledger))
                 : "";
    if (search->tried == 0) return "Found nothing: the budget left no room to try changes to the recipe.";
    return fmt::format("Found nothing better: {}.", nothing_passed(*search));
  }
  const std::optional<Total> measured = total_multiplier(ledger, findings);
  if (!measured)
    return fmt::format("Found {} change{} to the recipe that lower{} the loss; the compute that saves cannot be said.",
                       findings.size(), findings.size() == 1 ? "" : "s", findings.size() == 1 ? "s" : "");
  const ledger::Interval* total = &measured->multiplier;
  const std::string at =
      measured->flops > 0 ? fmt::format(", measured with runs of {}", format_flops(measured->flops)) : "";
  const std::string without =
      fmt::format("without {} to the recipe that this lab adopted, the same loss takes", changes_text(findings.size()));
  // What lies beyond the compute of the runs is read off the slope of their losses, and only so far.
  if (is_lower_bound(*total) && total->low > 1)
    return fmt::format(
        "Found at least {0:.3g}x: {1} at least {0:.3g} times the training compute, by the slope of the start's own "
        "losses{2}.",
        total->low, without, measured->flops > 0 ? fmt::format(" up to {}", format_flops(measured->flops)) : "");
  const bool is_bound = is_lower_bound(*total) || is_upper_bound(*total);
  const std::string value = is_bound ? multiplier_text(*total) : times_text(total->value);
  std::string interval;
  if (!is_bound && (std::isfinite(total->low) || std::isfinite(total->high)))
    interval = fmt::format(" (90% interval: {} to {})", times_text(total->low), times_text(total->high));
  if (total->low <= 1)
    return fmt::format(
        "Adopted {} to the recipe that passed the test; {} worth {} compute{}{}, so no gain is sure there.",
        changes_text(findings.size()), findings.size() == 1 ? "it is" : "together they are", value, interval, at);
  return fmt::format("Found {0:.2f}x: {1} {0:.2f} times the training compute{2}{3}.", total->value, without, interval,
                     at);
}

// What a forecast leaves out where the corpus is too small for it; empty: nothing.
std::string passes_text(const ledger::Ledger& ledger, const ledger::FutureForecast::Entry& entry) {
  const auto passes = corpus_passes(last_of<ledger::CorpusRecord>(ledger), entry);
  return passes ? fmt::format("{:.1f} passes over this corpus, counted as if all text were new", *passes) : "";
}

std::string forecast_sentence(const ledger::Ledger& ledger) {
  const auto future = last_of<ledger::FutureForecast>(ledger);
  const ledger::FutureForecast::Entry* entry = future ? headline_entry(*future) : nullptr;
  if (entry == nullptr) {
    if (future)
      return "No forecast could be made: more compute lies too far beyond these runs, which span too little of it.";
    if (ledger.last<ledger::ReportRecord>())
      return "No forecast could be made: a law needs finished runs of several sizes and budgets.";
    const auto& runs = ledger.runs();
    const auto done = std::count_if(runs.begin(), runs.end(), [](const auto& run) { return run.ended(); });
    return fmt::format(
        "This lab has not finished: {} of the {} runs planned so far have ended. The same command goes on.", done,
        runs.size());
  }
  std::string sentence =
      fmt::format("With {:g} times the {} of this lab's largest training runs, a model is predicted to reach {}",
                  entry->multiply, format_flops(entry->flops / entry->multiply),
                  loss_text(entry->bits_per_byte, entry->low, entry->high, 3, "90% interval"));
  if (const std::string passes = passes_text(ledger, *entry); !passes.empty()) sentence += fmt::format(" ({})", passes);
  if (const auto best = campaign::best_run(ledger))
    sentence += fmt::format("; the best one here reached {} on the same text (lower is better)",
                            fixed(*best->bits_per_byte, 3));
  return sentence + ".";
}

std::string wall_sentence(const ledger::WallRecord& wall) {
  switch (wall.verdict) {
    case protocol::WallVerdict::kNoneSeen:
      return "Nothing says that more compute will stop paying off (no wall seen).";
    case protocol::WallVerdict::kWall:
      return "More compute is paying off less and less: a wall was seen.";
    case protocol::WallVerdict::kCannotTell:
      break;
  }
  return "Whether more compute will stop paying off (a wall) cannot be told from these runs.";
}

std::string as_sentence(std::string text) {
  if (text.empty()) return text;
  if (text.back() != '.') text += '.';
  return text;
}

std::optional<std::string> optimum_sentence(const OrderedJson& report) {
  if (!report.contains("optimum") || !report["optimum"].is_object()) return std::nullopt;
  const OrderedJson& optimum = report["optimum"];
  if (optimum.value("identified", true)) return std::nullopt;
  return as_sentence("Which model size is best for a given compute is not known: " +
                     optimum.value("why", std::string("it was not identified")));
}

std::optional<std::string> splits_sentence(const OrderedJson& report) {
  const auto apart = splits_difference(report);
  if (!apart || !apart->unexplained()) return std::nullopt;
  return fmt::format(
      "The best model's loss on the locked split is {} by {} bits per byte than on the audit split, and the sampling "
      "of their text explains {} (90%): other text of this corpus may differ as much.",
      apart->locked_minus_audit > 0 ? "higher" : "lower", fixed(std::abs(apart->locked_minus_audit), 3),
      fixed(apart->explained, 3));
}

// On each rung, of a comparison.
double planned_pairs(const ledger::Ledger& ledger) {
  const auto lab = last_of<ledger::LabRecord>(ledger);
  return lab && lab->question.pairs ? static_cast<double>(*lab->question.pairs)
                                    : double{campaign::CompareRules{}.planned_pairs};
}

bool is_comparison(const ledger::Ledger& ledger) {
  const auto lab = last_of<ledger::LabRecord>(ledger);
  return lab && !lab->question.compare.empty();
}

// ---- lines ----------------------------------------------------------------------------------------------------------
// With the name that its list gives it.
std::string change_text(const std::string& label, const std::string& change) {
  const std::string fields = with_short_numbers(change);
  return label.empty() ? fields : fmt::format("{} ({})", label, fields);
}

// "1.44x (1.32x to 1.57x) compute"
std::string worth_in(const ledger::Interval& multiplier, const std::string& what) {
  return std::isfinite(multiplier.value) ? fmt::format("{} {}", multiplier_text(multiplier), what)
                                         : fmt::format("what it is worth in {} cannot be said", what);
}

// What a search that goes on has adopted, one a line.
std::vector<std::string> adopted_so_far(const ledger::Ledger& ledger) {
  std::vector<std::string> lines;
  if (ledger.last<ledger::SearchRecord>()) return lines;
  for (const auto& record : ledger.all<ledger::AdoptionDecision>()) {
    const ledger::AdoptionDecision& a = record.value;
    lines.push_back(fmt::format("p{} {}: {:+.4f} bits per byte (90%: {:+.4f} to {:+.4f}, {} runs)", a.number,
                                change_text(a.label, fmt::format("{}", fmt::join(a.patches, ", "))), a.difference,
                                a.low, a.high, a.runs));
  }
  return lines;
}

std::string found_rows(const ledger::Ledger& ledger) {
  if (const std::vector<std::string> adopted = adopted_so_far(ledger); !adopted.empty()) {
    std::string rows = row("adopted", fmt::format("{} change{} so far; the search goes on", adopted.size(),
                                                  adopted.size() == 1 ? "" : "s"));
    for (const std::string& line : adopted) rows += row_below(line);
    return rows;
  }
  const auto search = last_of<ledger::SearchRecord>(ledger);
  const std::vector<ledger::FindingRecord> findings = adopted_findings(ledger);
  if (!search && findings.empty()) return "";
  std::string rows = row("found", search ? fmt::format("{} change{} tried, {} adopted", search->tried,
                                                       search->tried == 1 ? "" : "s", findings.size())
                                         : fmt::format("{} so far", findings.size()));
  for (const ledger::FindingRecord& finding : findings)
    rows += row_below(fmt::format("{} {}: {}", finding.id, change_text(finding.label, finding.change),
                                  worth_in(finding.multiplier, "compute")));
  if (const auto total = findings.size() > 1 ? total_multiplier(ledger, findings) : std::nullopt)
    rows += row_below("together: " + multiplier_text(total->multiplier) + " compute");
  return rows;
}

std::string forecast_rows(const ledger::Ledger& ledger) {
  std::string rows;
  const auto future = last_of<ledger::FutureForecast>(ledger);
  for (const ledger::FutureForecast::Entry& entry :
       future ? future->forecast : std::vector<ledger::FutureForecast::Entry>{}) {
    if (!std::isfinite(entry.bits_per_byte)) continue;
    std::string text = fmt::format("{:g}x, {}: {}", entry.multiply, format_flops(entry.flops),
                                   loss_text(entry.bits_per_byte, entry.low, entry.high, 3, "90%"));
    if (std::isfinite(entry.params) && std::isfinite(entry.tokens))
      text += fmt::format("; {} parameters, {} tokens", format_count(entry.params), format_count(entry.tokens));
    if (const std::string passes = passes_text(ledger, entry); !passes.empty()) text += ", " + passes;
    rows += row(rows.empty() ? "forecast" : "", text);
  }
  const auto top = last_of<ledger::TopForecast>(ledger);
  if (!top) return rows;
  std::string text = fmt::format("the forecast of the largest runs, made before they ran, was {}",
                                 loss_text(top->predicted, top->low, top->high, 3, "90%"));
  if (const auto score = last_of<ledger::ScoreRecord>(ledger))
    text += fmt::format("; measured {}, so it was {:.2f}% too {}, {} that interval", fixed(score->measured, 3),
                        std::abs(score->error_percent), score->predicted > score->measured ? "high" : "low",
                        score->inside ? "inside" : "outside");
  else
    text += "; not measured yet";
  return rows + row("tested", text);
}

std::string best_row(const OrderedJson& report) {
  if (number_in(report, "audit_bits_per_byte") == nullptr && number_in(report, "locked_bits_per_byte") == nullptr)
    return row("best model", "not measured on the audit and the locked split");
  const auto split = [&](const char* name, const char* field, const char* sd) {
    const OrderedJson* value = number_in(report, field);
    if (value == nullptr) return fmt::format("{} not measured", name);
    std::string text = fmt::format("{} {}", name, fixed(value->get<double>(), 4));
    if (number_in(report, sd) == nullptr) return text;
    const double half = sampling_half_width(report, name);
    return text +
           (std::isfinite(half) ? fmt::format(" \u00b1 {}", fixed(half, 4)) : " (of too few documents for \u00b1)");
  };
  std::string over = "documents";
  for (const OrderedJson& evaluation : report.value("evaluations", OrderedJson::array()))
    if (evaluation.value("split", std::string()) == "audit") over = evaluation.value("over", over);
  return row("best model", split("audit", "audit_bits_per_byte", "audit_sampling_sd") + ", " +
                               split("locked", "locked_bits_per_byte", "locked_sampling_sd") +
                               " bits per byte (\u00b1: 90% over " + over + ")");
}

// A sanity check of the losses: what a compressor makes of the text that they are of, which saw nothing else.
std::string compressor_row(const ledger::Ledger& ledger) {
  const auto corpus = last_of<ledger::CorpusRecord>(ledger);
  if (!corpus || !corpus->compressor) return "";
  const ledger::CorpusRecord::Compressor& compressor = *corpus->compressor;
  std::string text = fmt::format(
      "{} bits per byte on {} of the {} split; it sees only that text, not the training text",
      fixed(compressor.bits_per_byte, 4), format_bytes(static_cast<double>(compressor.bytes)), compressor.split);
  std::optional<double> best;
  for (const ledger::RunRow& run : ledger.runs())
    if (run.bits_per_byte && run.ended() && (!best || *run.bits_per_byte < *best)) best = run.bits_per_byte;
  if (best && *best > compressor.bits_per_byte && ledger.last<ledger::ReportRecord>())
    text += fmt::format(
        ". The best model is at {} there, which is worse: it has learnt little, or the text repeats itself over "
        "more than the pieces that models see",
        fixed(*best, 4));
  return row(compressor.name, text);
}

// "bf16 from 32 wide on, fp32 at 16", as the lab's machine was measured to train faster.
std::string precisions_text(const ledger::MachineRecord& machine) {
  std::map<std::string, std::vector<int>> widths;
  for (const auto& [width, precision] : machine.precisions) widths[precision].push_back(std::atoi(width.c_str()));
  std::string text;
  for (auto& [precision, sizes] : widths) {
    std::sort(sizes.begin(), sizes.end());
    text += (text.empty() ? "" : "; ") + precision + (widths.size() == 1 ? " at every width" : " at widths about");
    for (size_t i = 0; widths.size() > 1 && i < sizes.size(); ++i)
      text += fmt::format("{} {}", i == 0 ? "" : ",", sizes[i]);
  }
  return text + fmt::format(", which trained faster here ({})", machine.instruction_set);
}

std::string spent_row(const ledger::Ledger& ledger) {
  const ledger::Spend spend = ledger.spend();
  const int64_t runs = spend.runs_done + spend.runs_failed;
  std::string text = fmt::format("{} run{}", runs, runs == 1 ? "" : "s");
  if (spend.runs_failed > 0) text += fmt::format(" ({} failed)", spend.runs_failed);
  text += ", " + spend_text(spend);
  const auto finished = last_of<ledger::ReportRecord>(ledger);
  text += finished ? ", " + format_seconds(finished->seconds) : ", " + format_seconds(spend.slot_seconds) + " of slots";
  return row("spent", text);
}

// On one line whatever its length, so that it can be copied.
std::string command_row(const std::string& label, const std::string& command, const char* what_for) {
  return fmt::format("  {:<{}}{} ({})\n", label, kIndent - 2, command, what_for);
}

std::string next_rows(const ledger::Ledger& ledger, const std::string& lab) {
  const auto record = last_of<ledger::LabRecord>(ledger);
  if (!ledger.last<ledger::ReportRecord>() && !ledger.last<ledger::ComparisonRecord>()) {
    const bool known = record && !record->command.empty();
    return command_row("next", known ? shell_command(record->command) : "the command that started it, once more",
                       "goes on where it stopped");
  }
  const std::string folder = shell_command({lab});
  std::string rows;
  const auto future = last_of<ledger::FutureForecast>(ledger);
  if (const auto* entry = future ? headline_entry(*future) : nullptr; entry != nullptr)
    rows += command_row("next", fmt::format("flywheel plan --law {} --flops {}", folder, format_power(entry->flops)),
                        "what to train");
  return rows + command_row(rows.empty() ? "next" : "", fmt::format("open {}/report.html", folder), "the whole report");
}

}  // namespace

Headline headline(const ledger::Ledger& ledger, const OrderedJson& report) {
  Headline headline;
  if (const auto result = last_of<ledger::ComparisonRecord>(ledger)) {
    headline.main = comparison_sentence(*result);
    if (const std::string failed = failed_text(*result); !failed.empty()) headline.more.push_back(as_sentence(failed));
    if (result->why && !result->why->empty()) headline.more.push_back(as_sentence(*result->why));
    if (result->warning && !result->warning->empty()) headline.more.push_back(as_sentence(*result->warning));
    return headline;
  }
  if (is_comparison(ledger)) {
    headline.main = forecast_sentence(ledger);
    return headline;
  }
  const std::string found = found_sentence(ledger);
  headline.main = found + (found.empty() ? "" : " ") + forecast_sentence(ledger);
  if (const auto wall = last_of<ledger::WallRecord>(ledger)) headline.more.push_back(wall_sentence(*wall));
  for (const auto& sentence : {optimum_sentence(report), splits_sentence(report)})
    if (sentence) headline.more.push_back(*sentence);
  return headline;
}

std::string standing(const ledger::Ledger& ledger) {
  if (const auto finished = last_of<ledger::ReportRecord>(ledger))
    return "finished after " + format_seconds(finished->seconds);
  if (const auto result = last_of<ledger::ComparisonRecord>(ledger))
    return "finished after " + format_seconds(result->spend.seconds);
  return "not finished";
}

std::string known_lines(const ledger::Ledger& ledger, const OrderedJson& report, const std::string& lab, bool at_work) {
  std::string text = found_rows(ledger) + forecast_rows(ledger);
  if (const auto result = last_of<ledger::ComparisonRecord>(ledger))
    text += comparison_rows(*result, planned_pairs(ledger));
  if (const auto wall = last_of<ledger::WallRecord>(ledger))
    text += row("wall", std::string(name(wall->verdict)) + (wall->why.empty() ? "" : ": " + wall->why));
  if (!is_comparison(ledger) && ledger.last<ledger::ReportRecord>()) text += best_row(report);
  if (!is_comparison(ledger)) text += compressor_row(ledger);
  text += spent_row(ledger);
  if (const auto used = utilisation(ledger)) text += row("utilised", utilisation_text(*used));
  if (const auto machine = last_of<ledger::MachineRecord>(ledger); machine && !machine->precisions.empty())
    text += row("precision", precisions_text(*machine));
  return text + (at_work ? "" : next_rows(ledger, lab));
}

std::string findings_text(const ledger::Ledger& ledger) {
  std::string text;
  for (const auto& record : ledger.all<ledger::FindingRecord>()) {
    const ledger::FindingRecord& f = record.value;
    std::string finding =
        fmt::format("{}  {}: {}", f.id, change_text(f.label, f.change), worth_in(f.multiplier, "compute"));
    if (f.time_multiplier) finding += ", " + worth_in(*f.time_multiplier, "time on this machine");
    text += wrapped(finding, kColumns, 4) + "\n";
    std::string rungs;
    for (const double flops : f.rungs) rungs += (rungs.empty() ? "" : " and ") + format_flops(flops);
    const std::string evidence = fmt::format(
        "    {:+.4f} bits per byte (90%: {:+.4f} to {:+.4f}) over {} runs at {}; test {} of the search, "
        "evidence {:.3g} where {:.3g} was needed",
        f.difference.value, f.difference.low, f.difference.high, f.pairs, rungs, f.test, std::exp(f.log_e),
        f.level > 0 ? 1 / f.level : NAN);
    text += "    " + wrapped(std::string(4, 'x') + evidence.substr(4), kColumns, 4).substr(4) + "\n";
    if (f.costs) text += costs_text(*f.costs, "    ");
  }
  if (!text.empty()) return text;
  if (const auto search = last_of<ledger::SearchRecord>(ledger))
    return fmt::format("no findings: {}\n", nothing_passed(*search));
  const std::vector<std::string> adopted = adopted_so_far(ledger);
  if (is_comparison(ledger))
    return wrapped("a comparison has a verdict and no findings: flywheel status", kColumns) + "\n";
  if (const std::string why = why_no_search(ledger); !why.empty())
    return wrapped("no findings: " + why, kColumns) + "\n";
  if (adopted.empty())
    return ledger.last<ledger::ReportRecord>() ? "no findings: no changes were tried\n" : "no findings so far\n";
  text =
      wrapped("no findings yet; adopted so far, before each is left out once and the recipe has endured:", kColumns) +
      "\n";
  for (const std::string& line : adopted) text += wrapped(line, kColumns, 4) + "\n";
  return text;
}

std::string summary(const ledger::Ledger& ledger, const std::string& lab) {
  const OrderedJson report = report_json(ledger);
  const Headline head = headline(ledger, report);
  std::string text = wrapped(head.main, kColumns) + "\n";
  for (const std::string& sentence : head.more) text += wrapped(sentence, kColumns) + "\n";
  return text + "\n" + known_lines(ledger, report, lab);
}

}  // namespace flywheel::report
