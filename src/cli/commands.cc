#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"

namespace flywheel::cli {
namespace {

// To add a command: its file declares it, cli.h names it, this table lists it.
constexpr Command kCommands[] = {
    {"train", "Train one run from its spec.json; the same directory again resumes it", declare_train},
    {"corpus", "Make a corpus folder from files and folders of text", declare_corpus},
    {"evaluate", "Measure a trained run on one split", declare_evaluate},
    {"sample", "Write text with a trained run", declare_sample},
    {"bench", "Measure this machine and the engine's speed on it", declare_bench},
    {"recipe", "show, check and compare recipes", declare_recipe},
};

}  // namespace

int run(int argc, char** argv) {
  set_up_log(false);
  CLI::App app{"Flywheel: an autonomous pretraining lab", "flywheel"};
  app.set_version_flag("--version", FLYWHEEL_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  Action chosen;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.help);
    Action action = command.declare(*sub);
    sub->callback([&chosen, action] { chosen = action; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);
    fmt::print(stderr, "flywheel: {}\nRun `flywheel --help`, or a command with --help, for what it takes.\n", e.what());
    return static_cast<int>(ErrorCode::kBadInput);
  }
  try {
    return chosen();
  } catch (const Error& e) {
    fmt::print(stderr, "flywheel: {}\n", e.what());
    return static_cast<int>(e.code());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "flywheel: out of memory\n");
    return static_cast<int>(ErrorCode::kFailed);
  } catch (const std::exception& e) {
    fmt::print(stderr, "flywheel: {}\n", e.what());
    return static_cast<int>(ErrorCode::kFailed);
  }
}

}  // namespace flywheel::cli
