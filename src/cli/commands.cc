#include <fmt/format.h>

#include <functional>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/host/standard_streams.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/program.h"
#include "cli/version.h"

namespace flywheel::cli {
namespace {

// To add a command: its file declares it, cli.h names it, this table lists it.
constexpr Command kCommands[] = {
    {"run", "The campaign: from a corpus and a budget to a tested forecast; the same command again resumes",
     declare_run},
    {"status", "Where a lab stands: stage, runs, spend, and what is known so far", declare_status},
    {"runs", "The runs of a lab", declare_runs},
    {"findings", "What the lab found, with its evidence", declare_findings},
    {"report", "Write a lab's report again, from its ledger", declare_report},
    {"verify", "Check the chain of a lab's ledger", declare_verify},
    {"train", "Train one run from its spec.json; the same directory again resumes it", declare_train},
    {"recipe", "Show, check and compare recipes", declare_recipe},
    {"fit", "Fit a scaling law to finished runs (CSV) and forecast from it", declare_fit},
    {"plan", "What to train with a budget: size, tokens, rates, loss, time, and what it costs to be off", declare_plan},
    {"simulate", "The decisions of searches and comparisons on simulated runs", declare_simulate},
    {"compare", "Is a change to a recipe real, and what is it worth in compute", declare_compare},
    {"replay", "Measure search policies on a table of finished runs", declare_replay},
    {"corpus", "Make a corpus folder from files and folders of text", declare_corpus},
    {"evaluate", "Measure a trained run on one split", declare_evaluate},
    {"sample", "Write text with a trained run", declare_sample},
    {"bench", "Measure this machine and the engine's speed on it", declare_bench},
};

// The commands about the program itself: they read the whole command line.
void declare_program_commands(CommandLine& line, std::map<std::string, Action>& actions) {
  Arguments help = line.subcommand("help", "What a command takes: flywheel help run");
  auto path = std::make_shared<std::vector<std::string>>();
  help.option("COMMAND", *path, "The command, and one of its own").type_name("COMMAND");
  actions["help"] = [path, &line] {
    fmt::print("{}", line.help(*path));
    return 0;
  };
  Arguments version = line.subcommand("version", "This program's version, commit, and what it uses of the processor");
  auto json = std::make_shared<bool>(false);
  version.flag("--json", *json, "One JSON object");
  actions["version"] = [json] {
    fmt::print("{}", *json ? version_json() + "\n" : version_text());
    return 0;
  };
  Arguments completion = line.subcommand("completion", "A script that completes commands in a shell");
  auto shell = std::make_shared<std::string>();
  completion.option("SHELL", *shell, "bash, zsh or fish")
      .required()
      .one_of(std::vector<std::string>{"bash", "zsh", "fish"});
  actions["completion"] = [shell, &line] {
    fmt::print("{}", completion_script(line.facts(), *shell));
    return 0;
  };
  line.subcommand("man", "The man page, for `man -l` and packages");
  actions["man"] = [&line] {
    fmt::print("{}", man_page(line.facts(), FLYWHEEL_VERSION));
    return 0;
  };
}

int run_command_line(int argc, char** argv) {
  CommandLine line("Flywheel: an autonomous pretraining lab", "flywheel", version_text());
  std::map<std::string, Action> actions;
  for (const Command& command : kCommands) {
    Arguments arguments = line.subcommand(command.name, command.help);
    actions[command.name] = command.declare(arguments);
  }
  declare_program_commands(line, actions);
  std::string chosen;
  if (const std::optional<int> status = line.parse(argc, argv, chosen)) return *status;
  return actions.at(chosen)();
}

// An error's own status; the word for it goes to stderr.
int status_of(const std::function<int()>& work) {
  try {
    return work();
  } catch (const Error& e) {
    write_error(fmt::format("flywheel: {}\n", e.what()));
    return static_cast<int>(e.code());
  } catch (const std::bad_alloc&) {
    write_error("flywheel: out of memory\n");
    return static_cast<int>(ErrorCode::kFailed);
  } catch (const std::exception& e) {
    write_error(fmt::format("flywheel: {}\n", e.what()));
    return static_cast<int>(ErrorCode::kFailed);
  }
}

}  // namespace

int run(int argc, char** argv) {
  set_up_log(false);
  const int status = status_of([&] {
    try {
      return run_command_line(argc, argv);
    } catch (const std::system_error&) {
      if (output_failed()) check_output();
      throw;
    }
  });
  // What the command did stands, and so does its own error; results that nobody got are one too.
  const int written = status_of([] {
    check_output();
    return 0;
  });
  return status != 0 ? status : written;
}

}  // namespace flywheel::cli
