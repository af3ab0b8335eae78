// flywheel findings: what passed the lab's test, with its evidence.
#include <fmt/format.h>

#include "cli/cli.h"
#include "cli/lab_view.h"

namespace flywheel::cli {

Action declare_findings(CLI::App& app) {
  struct Options {
    std::string lab;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("--dir", options->lab, "The lab's folder")->required();
  app.add_flag("--json", options->json, "One JSON object");
  return [options] {
    const auto records = ledger::Ledger::open_read_only(options->lab)->records("finding");
    if (options->json) {
      Json list = Json::array();
      for (const auto& record : records) {
        Json finding = record.payload;
        finding["record"] = record.sequence;
        list.push_back(finding);
      }
      fmt::print("{}\n", canonical_json({{"findings", list}}));
      return 0;
    }
    if (records.empty()) fmt::print("no findings so far\n");
    for (const auto& record : records) {
      const Json& p = record.payload;
      fmt::print("{}  {}  {}x compute ({} to {})\n", payload_text(p, "id"), payload_text(p, "change"),
                 payload_number(p, "compute_multiplier", "{:.3g}"), payload_number(p, "low", "{:.3g}"),
                 payload_number(p, "high", "{:.3g}"));
    }
    return 0;
  };
}

}  // namespace flywheel::cli
