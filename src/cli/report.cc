// `flywheel report`: writes report.html, report.json, results.tsv and recipe.toml of a lab again, from its ledger.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/cli.h"
#include "report/page_data.h"
#include "report/report_json.h"

namespace flywheel::cli {

Action declare_report(CLI::App& app) {
  struct Options {
    std::string directory;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("--dir", options->directory, "The lab's folder")->required();
  app.add_flag("--json", options->json, "Print report.json on stdout and write nothing");
  return [options] {
    const Path lab = std::filesystem::absolute(options->directory).lexically_normal();
    const auto ledger = ledger::Ledger::open_read_only(lab);
    if (options->json) {
      fmt::print("{}\n", report::report_json(*ledger).dump());
      return 0;
    }
    report::write_report(*ledger, lab);
    fmt::print("{}  report      {}\n", report::summary(*ledger), (lab / "report.html").string());
    return 0;
  };
}

}  // namespace flywheel::cli
