// flywheel findings: the changes that passed the lab's test, with their evidence.
#include <fmt/format.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/lab_view.h"
#include "report/report_text.h"

namespace flywheel::cli {

Action declare_findings(Arguments& arguments) {
  struct Options {
    std::string lab;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  lab_argument(arguments, options->lab);
  arguments.flag("--json", options->json, "One JSON object");
  return [options] {
    options->lab = lab_or_default(options->lab);
    const auto ledger = ledger::Ledger::open_read_only(options->lab);
    if (options->json) {
      Json list = Json::array();
      for (const auto& record : ledger->all<ledger::FindingRecord>()) {
        Json finding = ledger::Codec<ledger::FindingRecord>::to_json(record.value);
        finding["record"] = record.sequence;
        list.push_back(finding);
      }
      // Of a search that goes on; what is adopted becomes a finding when it ends.
      Json adopted = Json::array();
      if (!ledger->last<ledger::SearchRecord>())
        for (const auto& record : ledger->all<ledger::AdoptionDecision>()) {
          Json adoption = ledger::Codec<ledger::AdoptionDecision>::to_json(record.value);
          adoption["id"] = fmt::format("p{}", record.value.number);
          adopted.push_back(adoption);
        }
      fmt::print("{}\n", canonical_json({{"findings", list}, {"adopted_so_far", adopted}}));
      return 0;
    }
    fmt::print("{}", report::findings_text(*ledger));
    return 0;
  };
}

}  // namespace flywheel::cli
