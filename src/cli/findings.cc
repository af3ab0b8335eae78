// flywheel findings: the changes that passed the lab's test, with their evidence.
#include <fmt/format.h>

#include <cmath>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/lab_view.h"
#include "report/cost_text.h"

namespace flywheel::cli {

Action declare_findings(Arguments& arguments) {
  struct Options {
    std::string lab;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  arguments.option("--dir", options->lab, "The lab's folder").required();
  arguments.flag("--json", options->json, "One JSON object");
  return [options] {
    const auto records = ledger::Ledger::open_read_only(options->lab)->all<ledger::FindingRecord>();
    if (options->json) {
      Json list = Json::array();
      for (const auto& record : records) {
        Json finding = ledger::Codec<ledger::FindingRecord>::to_json(record.value);
        finding["record"] = record.sequence;
        list.push_back(finding);
      }
      fmt::print("{}\n", canonical_json({{"findings", list}}));
      return 0;
    }
    if (records.empty()) fmt::print("no findings so far\n");
    for (const auto& record : records) {
      const ledger::FindingRecord& f = record.value;
      const auto end = [](double times) { return std::isfinite(times) ? number_text(times, "{:.3g}") : "open"; };
      fmt::print("{}  {}  {}x compute ({} to {})", f.id, f.change, number_text(f.multiplier.value, "{:.3g}"),
                 end(f.multiplier.low), end(f.multiplier.high));
      if (const auto& time = f.time_multiplier)
        fmt::print(", {}x time on this machine ({} to {})", number_text(time->value, "{:.3g}"), end(time->low),
                   end(time->high));
      fmt::print("\n{}", f.costs ? report::costs_text(*f.costs, "    ") : "");
    }
    return 0;
  };
}

}  // namespace flywheel::cli
