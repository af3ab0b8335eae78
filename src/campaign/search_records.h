// The ledger's records of a search: its proposals, findings, cost, and the adopted configuration.
#pragma once

#include <vector>

#include "ledger/ledger.h"
#include "search/search_loop.h"

namespace flywheel::campaign {

struct SearchTotals {
  double screen_flops = 0;
  std::vector<double> confirm_flops;
  double top_flops = 0;    // of the ladder, to which findings are extrapolated
  double spent_flops = 0;  // of all runs, those that measure the total gain and all optimizers included
  protocol::Split split = protocol::Split::kAudit;  // on which claims are made
  std::string ended{};                              // why the search did
};

int adopted_count(const search::SearchLoop& loop);
// In the order in which they are to be appended; the configuration's own record is not among them.
std::vector<ledger::NewRecord> search_records(const ledger::Ledger& ledger, const search::SearchLoop& loop,
                                              const SearchTotals& totals);

}  // namespace flywheel::campaign
