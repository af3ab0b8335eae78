// `flywheel report`: writes report.html, report.json, results.tsv and recipe.toml of a lab again, from its ledger.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/lab_setup.h"
#include "cli/lab_view.h"
#include "report/report_json.h"
#include "report/report_text.h"

namespace flywheel::cli {

Action declare_report(Arguments& arguments) {
  struct Options {
    std::string directory;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  lab_argument(arguments, options->directory);
  arguments.flag("--json", options->json, "Print report.json on stdout and write nothing");
  return [options] {
    options->directory = lab_or_default(options->directory);
    const Path lab = std::filesystem::absolute(options->directory).lexically_normal();
    const auto ledger = ledger::Ledger::open_read_only(lab);
    if (options->json) {
      fmt::print("{}\n", json_line(report::report_json(*ledger)));
      return 0;
    }
    write_lab_report(*ledger, lab);
    fmt::print("{}", report::summary(*ledger, options->directory));
    return 0;
  };
}

}  // namespace flywheel::cli
