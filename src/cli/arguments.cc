#include "cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <sstream>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "base/json_reader.h"
#include "base/log.h"

namespace flywheel::cli {
namespace {

constexpr size_t kHelpColumns = 80, kHelpTexts = 30;  // width of --help, and where its descriptions begin

// The library's help with long lines broken, descriptions below their own beginning.
class Help : public CLI::Formatter {
 public:
  Help() { column_width(kHelpTexts); }
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    std::istringstream lines(CLI::Formatter::make_help(app, std::move(name), mode));
    std::string help;
    for (std::string line; std::getline(lines, line);) {
      const bool beside = line.size() > kHelpTexts && line[kHelpTexts - 1] == ' ' && line[kHelpTexts] != ' ';
      help += (line.size() <= kHelpColumns ? line
               : beside                    ? line.substr(0, kHelpTexts) +
                              wrapped(std::string(kHelpTexts, 'x') + line.substr(kHelpTexts), kHelpColumns, kHelpTexts)
                                  .substr(kHelpTexts)
                        : wrapped(line, kHelpColumns, kHelpTexts)) +
              "\n";
    }
    return help;
  }
};

}  // namespace

Option Option::required(bool yes) const {
  option_->required(yes);
  return *this;
}

Option Option::show_default() const {
  option_->capture_default_str();
  return *this;
}

Option Option::type_name(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

Option Option::one_of(const std::vector<std::string>& allowed) const {
  option_->check(CLI::IsMember(allowed));
  return *this;
}

Option Option::one_of(std::initializer_list<int> allowed) const {
  option_->check(CLI::IsMember(allowed));
  return *this;
}

Option Option::range(int low, int high) const {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option Option::range(int64_t low, int64_t high) const {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option Option::range(double low, double high) const {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option Option::excludes(Option other) const {
  option_->excludes(other.option_);
  return *this;
}

Option Option::separated_by(char delimiter) const {
  option_->delimiter(delimiter);
  return *this;
}

Option Option::values(int least, int most) const {
  option_->expected(least, most);
  return *this;
}

Option Option::repeatable() const {
  option_->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return *this;
}

Option Option::given_in_any_number() const {
  option_->allow_extra_args();
  return *this;
}

bool Option::given() const {
  return option_->count() > 0;
}

namespace {

// No number of a command may be "nan": a range lets it through, since it is neither below nor above anything.
std::string refuse_nan(const std::string& text) {
  return std::isnan(std::strtod(text.c_str(), nullptr)) ? "expected a number, found " + text : "";
}

// A whole number that its type does not hold is refused, not cut to the nearest one that it does.
template <typename T>
std::string refuse_overflow(const std::string& text) {
  if (std::is_unsigned_v<T> && !text.empty() && text.front() == '-')
    return "expected a whole number from 0 on, found " + text;
  T value{};
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  return error == std::errc::result_out_of_range
             ? "expected a whole number of at most " + std::to_string(std::numeric_limits<T>::max()) + ", found " + text
             : "";
}

template <typename T>
constexpr bool kHoldsReals =
    std::is_same_v<T, double> || std::is_same_v<T, std::optional<double>> || std::is_same_v<T, std::vector<double>>;

}  // namespace

template <typename T>
Option Arguments::option(const std::string& name, T& value, const std::string& help) const {
  CLI::Option& option = *app_->add_option(name, value, help);
  if constexpr (kHoldsReals<T>) option.check(refuse_nan);
  if constexpr (std::is_integral_v<T>) option.check(refuse_overflow<T>);
  return Option(option);
}

template Option Arguments::option(const std::string&, std::string&, const std::string&) const;
template Option Arguments::option(const std::string&, int&, const std::string&) const;
template Option Arguments::option(const std::string&, int64_t&, const std::string&) const;
template Option Arguments::option(const std::string&, uint64_t&, const std::string&) const;
template Option Arguments::option(const std::string&, double&, const std::string&) const;
template Option Arguments::option(const std::string&, std::optional<double>&, const std::string&) const;
template Option Arguments::option(const std::string&, std::vector<std::string>&, const std::string&) const;
template Option Arguments::option(const std::string&, std::vector<int>&, const std::string&) const;
template Option Arguments::option(const std::string&, std::vector<double>&, const std::string&) const;

Option Arguments::flag(const std::string& name, bool& value, const std::string& help) const {
  return Option(*app_->add_flag(name, value, help));
}

bool Arguments::chosen() const {
  return app_->parsed();
}

Arguments Arguments::subcommand(const std::string& name, const std::string& help) const {
  app_->require_subcommand(1);
  return Arguments(*app_->add_subcommand(name, help));
}

CommandLine::CommandLine(const std::string& help, const std::string& name, const std::string& version)
    : app_(std::make_unique<CLI::App>(help, name)) {
  app_->formatter(std::make_shared<Help>());
  app_->set_version_flag("--version", version);
  app_->require_subcommand(1);
  app_->failure_message(CLI::FailureMessage::help);
}

CommandLine::~CommandLine() = default;

Arguments CommandLine::subcommand(const std::string& name, const std::string& help) {
  return Arguments(*app_->add_subcommand(name, help));
}

std::optional<int> CommandLine::parse(int argc, char** argv, std::string& chosen) {
  std::vector<std::string> known;
  for (const CLI::App* command : app_->get_subcommands({})) known.push_back(command->get_name());
  if (argc > 1 && argv[1][0] != '-' && std::find(known.begin(), known.end(), argv[1]) == known.end()) {
    const std::string near = nearest_name(argv[1], known);
    write_error(fmt::format("flywheel: there is no command \"{}\"{}\nRun `flywheel --help` for those there are.\n",
                            argv[1], near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
    return static_cast<int>(ErrorCode::kBadInput);
  }
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {
      std::ostringstream text;
      const int status = app_->exit(e, text, text);
      fmt::print("{}", text.str());
      return status;
    }
    write_error(
        fmt::format("flywheel: {}\nRun `flywheel --help`, or a command with --help, for what it takes.\n", e.what()));
    return static_cast<int>(ErrorCode::kBadInput);
  }
  // As with callbacks, the last one wins where several are named.
  chosen = app_->get_subcommands().back()->get_name();
  return std::nullopt;
}

}  // namespace flywheel::cli
