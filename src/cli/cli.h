// The command line: one file per subcommand and one table (commands.cc) that lists them.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace flywheel::cli {

// Returns the process exit status of the contract (base/error.h).
int run(int argc, char** argv);

// A subcommand declares its options on `app` and returns what to do when it was chosen. The action returns the exit
// status or throws Error.
using Action = std::function<int()>;
struct Command {
  const char* name;
  const char* help;
  Action (*declare)(CLI::App& app);
};

Action declare_run(CLI::App& app);
Action declare_train(CLI::App& app);
Action declare_corpus(CLI::App& app);
Action declare_evaluate(CLI::App& app);
Action declare_sample(CLI::App& app);
Action declare_bench(CLI::App& app);
Action declare_fit(CLI::App& app);
Action declare_status(CLI::App& app);
Action declare_runs(CLI::App& app);
Action declare_findings(CLI::App& app);
Action declare_report(CLI::App& app);
Action declare_verify(CLI::App& app);
Action declare_recipe(CLI::App& app);
Action declare_plan(CLI::App& app);
Action declare_simulate(CLI::App& app);
Action declare_compare(CLI::App& app);
Action declare_replay(CLI::App& app);

}  // namespace flywheel::cli
