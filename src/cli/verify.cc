// flywheel verify: does the ledger's chain hold? Exit 1 and the problems when it does not.
#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/lab_view.h"

namespace flywheel::cli {

Action declare_verify(Arguments& arguments) {
  struct Options {
    std::string lab;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  lab_argument(arguments, options->lab);
  arguments.flag("--json", options->json, "One JSON object");
  return [options] {
    options->lab = lab_or_default(options->lab);
    const auto found = ledger::Ledger::open_read_only(options->lab)->verify();
    if (options->json) {
      fmt::print("{}\n", canonical_json({{"records", found.records},
                                         {"head_hash", found.head_hash},
                                         {"holds", found.problems.empty()},
                                         {"problems", found.problems}}));
    } else {
      fmt::print("{} records, head {}: {}\n", found.records, found.head_hash,
                 found.problems.empty() ? "the chain holds" : "the chain is BROKEN");
    }
    for (const std::string& problem : found.problems) write_error(fmt::format("flywheel: {}\n", problem));
    return found.problems.empty() ? 0 : static_cast<int>(ErrorCode::kFailed);
  };
}

}  // namespace flywheel::cli
