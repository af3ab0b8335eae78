// Declares the arguments of a subcommand. Only arguments.cc includes the parsing library, whose header takes four
// seconds to compile.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace flywheel::cli {

// A declared option. A handle, to be copied; valid as long as the CommandLine that it belongs to.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(&option) {}

  Option required(bool yes = true) const;
  Option show_default() const;                      // --help shows the variable's current value
  Option type_name(const std::string& name) const;  // what stands for the value in --help
  Option one_of(const std::vector<std::string>& allowed) const;
  Option one_of(std::initializer_list<int> allowed) const;
  Option range(int low, int high) const;
  Option range(int64_t low, int64_t high) const;
  Option range(double low, double high) const;
  Option excludes(Option other) const;
  Option separated_by(char delimiter) const;  // values of a list
  Option values(int least, int most) const;   // how many values of a list may follow the name
  Option repeatable() const;                  // each use of the name adds one value
  Option given_in_any_number() const;         // several values may follow the name

  bool given() const;  // after parsing

 private:
  CLI::Option* option_;
};

// What a command takes, as --help, the man page and the completion of shells tell it.
struct OptionFacts {
  std::vector<std::string> names;  // "--dir", "-h"; empty: known by its place only
  std::string place;               // what it is called where it is known by its place; empty: it is not
  std::string value;               // what stands for its value; empty: a flag
  std::string help, standard;      // standard: its value where it is not given, where that is shown
  std::vector<std::string> choices;
  bool required = false, many = false;
};
struct CommandFacts {
  std::string name, help;
  std::vector<OptionFacts> options;
  std::vector<CommandFacts> commands;
};

// What one subcommand takes. A handle, as Option is.
class Arguments {
 public:
  explicit Arguments(CLI::App& app) : app_(&app) {}

  // `name` is "--name", "name" for an argument that is known by its place, or "--name,PLACE" for one that is known by
  // both. Parsing writes `value`, which must
  // outlive it; T is one of std::string, int, int64_t, uint64_t, double, std::optional<double>, and lists of the
  // first, second and fifth.
  template <typename T>
  Option option(const std::string& name, T& value, const std::string& help) const;
  Option flag(const std::string& name, bool& value, const std::string& help) const;

  // A subcommand of this one; a command that has some must be called with one of them.
  Arguments subcommand(const std::string& name, const std::string& help) const;
  bool chosen() const;  // after parsing

 private:
  CLI::App* app_;
};

// The whole command line.
class CommandLine {
 public:
  CommandLine(const std::string& help, const std::string& name, const std::string& version);
  ~CommandLine();

  Arguments subcommand(const std::string& name, const std::string& help);

  // What --help prints for the command that `path` leads to, one name after the other; empty: the whole program.
  // Throws kBadInput for a command that is not there, with the nearest one.
  std::string help(const std::vector<std::string>& path) const;
  CommandFacts facts() const;

  // The exit status when there is nothing more to do: help and version were printed, or the arguments are wrong, which
  // was said on stderr. Otherwise `chosen` is the subcommand's name.
  std::optional<int> parse(int argc, char** argv, std::string& chosen);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace flywheel::cli
