// The man page: every command with its options, from the same declarations as --help.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/program.h"

namespace flywheel::cli {
namespace {

// As troff shows it: backslashes and minus signs as they are, no line that begins as a request.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      if ((c == '.' || c == '\'') && out.empty()) out += "\\&";
      out += c;
    }
  }
  return out;
}

std::string option_tag(const OptionFacts& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) names.push_back("\\fB" + escaped(name) + "\\fR");
  std::string tag = fmt::format("{}", fmt::join(names, ", "));
  const std::string value = option.choices.empty() ? option.value : fmt::format("{}", fmt::join(option.choices, "|"));
  if (option.names.empty())
    tag = "\\fI" + escaped(option.place) + "\\fR" + (option.many ? " ..." : "");
  else if (!value.empty())
    tag += " \\fI" + escaped(value) + "\\fR" + (option.many && !value.ends_with("...") ? " ..." : "");
  return tag;
}

void add_options(const CommandFacts& command, std::string& page) {
  for (const OptionFacts& option : command.options) {
    if (option.names == std::vector<std::string>{"-h", "--help"}) continue;
    std::string help = escaped(option.help);
    if (!option.standard.empty()) help += escaped(fmt::format(" (default: {})", option.standard));
    if (option.required) help += " (required)";
    page += fmt::format(".TP\n{}\n{}\n", option_tag(option), help);
  }
}

void add_command(const CommandFacts& command, const std::string& path, std::string& page) {
  const std::string name = path.empty() ? command.name : path + " " + command.name;
  std::string places;
  for (const OptionFacts& option : command.options)
    if (!option.place.empty()) places += option.required ? " " + option.place : fmt::format(" [{}]", option.place);
  page += fmt::format(".SS {}{}\n{}\n", escaped(name), escaped(places), escaped(command.help));
  add_options(command, page);
  for (const CommandFacts& inner : command.commands) add_command(inner, name, page);
}

}  // namespace

std::string man_page(const CommandFacts& program, const std::string& version) {
  std::string page = fmt::format(
      ".TH FLYWHEEL 1 \"\" \"flywheel {}\" \"User Commands\"\n"
      ".SH NAME\nflywheel \\- an autonomous pretraining lab\n"
      ".SH SYNOPSIS\n.B flywheel\n.I command\n.RI [ options ]\n"
      ".SH DESCRIPTION\n"
      "Given a corpus and an amount of compute, flywheel trains a ladder of small language models, searches better\n"
      "recipes, believes what survives replication, and says what more compute would bring.\n"
      "Its record is a folder, the lab; the same command again goes on where it stopped.\n"
      ".SH COMMANDS\n",
      version);
  for (const CommandFacts& command : program.commands) add_command(command, "", page);
  page +=
      ".SH EXIT STATUS\n"
      ".TP\n0\nDone.\n.TP\n1\nFailed.\n.TP\n2\nBad usage or bad input; nothing was written.\n"
      ".TP\n75\nStopped early with a checkpoint: the same command again goes on.\n"
      ".TP\n76\nThe lab is locked by another process.\n.TP\n130\nInterrupted.\n"
      ".SH ENVIRONMENT\n.TP\nNO_COLOR\nNo colours.\n"
      ".SH EXAMPLES\n"
      ".EX\nflywheel run ~/texts \\-\\-budget 10m\nflywheel status\nflywheel sample \\-\\-prompt \"Once\"\n.EE\n";
  return page;
}

}  // namespace flywheel::cli
