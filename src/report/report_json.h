// report.json and results.tsv: what the ledger says, in the contract's form. Everything comes from the ledger, so that
// `flywheel report` can write it again at any time.
#pragma once

#include <optional>
#include <string>

#include "base/json_fwd.h"
#include "ledger/ledger.h"
#include "report/utilisation.h"

namespace flywheel::report {

// The contract of DESIGN (keys in its order). Values that do not exist yet are null.
OrderedJson report_json(const ledger::Ledger& ledger);
// Adds "utilisation" and "slot_seconds_by", both null where not known.
void add_utilisation(const std::optional<Utilisation>& utilisation, OrderedJson& to);
// The fit of all rungs, once it was made.
std::optional<ledger::FitRecord> final_fit(const ledger::Ledger& ledger);
// Half of the 90% interval of the best model's loss on a split ("audit", "locked") over its documents; infinite where
// they are too few to tell. REQUIRES its sampling_sd in the report.
double sampling_half_width(const OrderedJson& report, const std::string& split);
// How far the best model's losses on the audit and the locked split lie apart. Empty where a loss or its sampling error
// is not known.
struct SplitsDifference {
  double locked_minus_audit = 0;
  double explained = 0;  // by the sampling of their documents, at 90%; infinite where they are too few to tell
  bool unexplained() const;
};
std::optional<SplitsDifference> splits_difference(const OrderedJson& report);
// The forecast at ten times the compute, or the farthest below it that the runs carry; null: none.
const ledger::FutureForecast::Entry* headline_entry(const ledger::FutureForecast& future);
// How often a forecast's training reads the corpus' training text; empty: about once or less, or not known.
std::optional<double> corpus_passes(const std::optional<ledger::CorpusRecord>& corpus,
                                    const ledger::FutureForecast::Entry& entry);
// One line per run, tab separated, with a header.
std::string results_tsv(const ledger::Ledger& ledger);

}  // namespace flywheel::report
