// The command line: one file per subcommand and one table (commands.cc) that lists them.
#pragma once

#include <functional>

#include "cli/arguments.h"

namespace flywheel::cli {

// Returns the process exit status of the contract (base/error.h).
int run(int argc, char** argv);

// A subcommand declares its options on `arguments` and returns what to do when it was chosen. The action returns the
// exit status or throws Error.
using Action = std::function<int()>;
struct Command {
  const char* name;
  const char* help;
  Action (*declare)(Arguments& arguments);
};

Action declare_run(Arguments& arguments);
Action declare_train(Arguments& arguments);
Action declare_corpus(Arguments& arguments);
Action declare_evaluate(Arguments& arguments);
Action declare_sample(Arguments& arguments);
Action declare_bench(Arguments& arguments);
Action declare_fit(Arguments& arguments);
Action declare_status(Arguments& arguments);
Action declare_runs(Arguments& arguments);
Action declare_findings(Arguments& arguments);
Action declare_report(Arguments& arguments);
Action declare_verify(Arguments& arguments);
Action declare_recipe(Arguments& arguments);
Action declare_plan(Arguments& arguments);
Action declare_simulate(Arguments& arguments);
Action declare_compare(Arguments& arguments);
Action declare_replay(Arguments& arguments);

}  // namespace flywheel::cli
