#include "cli/arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

// Of an argument that names none of `known`: "; did you mean "--budget"?", or nothing where none is near.
std::string did_you_mean(const std::string& name, const std::vector<std::string>& known) {
  const std::string near = nearest_name(name, known);
  return near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near);
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

// What option `word` ("--name" or "--name=value") is, or nothing where the command has none.
const CLI::Option* option_of(const CLI::App& app, const std::string& word) {
  return app.get_option_no_throw(word.substr(0, word.find('=')));
}

// Says which word of a command line that was refused names no command or no option there is, where one does.
std::optional<std::string> unknown_word(const CLI::App& whole, int argc, char** argv) {
  const CLI::App* app = &whole;
  std::string path = app->get_name();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") return std::nullopt;
    if (word.size() < 2 || word[0] != '-' || std::isdigit(static_cast<unsigned char>(word[1])) != 0 || word[1] == '.') {
      const std::vector<std::string> names = command_names(*app);
      if (names.empty()) continue;
      if (std::find(names.begin(), names.end(), word) == names.end())
        return fmt::format(
            "there is no command \"{}\"{}\nRun `{} --help` for those there are.",
            path.substr(std::min(path.size(), whole.get_name().size() + 1)) + (app == &whole ? "" : " ") + word,
            did_you_mean(word, names), path);
      app = app->get_subcommand(word);
      path += " " + word;
      continue;
    }
    const CLI::Option* option = option_of(*app, word);
    if (option != nullptr) {
      // A value may look like an option.
      if (word.find('=') == std::string::npos && option->get_expected_min() > 0) i += option->get_expected_min();
      continue;
    }
    std::vector<std::string> names;
    for (const CLI::Option* known : app->get_options())
      for (const std::string& name : known->get_lnames()) names.push_back("--" + name);
    return fmt::format("{} has no option {}{}\nRun `{} --help` for what it takes.", path,
                       word.substr(0, word.find('=')), did_you_mean(word.substr(0, word.find('=')), names), path);
  }
  return std::nullopt;
}

CommandFacts facts_of(const CLI::App& app) {
  CommandFacts facts{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    OptionFacts o;
    for (const std::string& name : option->get_snames()) o.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) o.names.push_back("--" + name);
    if (option->get_positional()) o.place = option->get_name(true);
    o.help = option->get_description();
    o.standard = option->get_default_str();
    o.required = option->get_required();
    o.many = option->get_expected_max() > 1;
    if (option->get_expected_max() > 0 || !o.place.empty()) {
      // The library appends what validators say: "TEXT:{keep,drop}", "INT:INT in [1 - 256]".
      const std::string type = option->get_type_name();
      o.value = type.substr(0, type.find(':'));
      const size_t open = type.find('{'), close = type.find('}', open);
      if (open != std::string::npos && close != std::string::npos) {
        std::istringstream words(type.substr(open + 1, close - open - 1));
        for (std::string word; std::getline(words, word, ',');) o.choices.push_back(word);
      }
    }
    facts.options.push_back(std::move(o));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    facts.commands.push_back(facts_of(*command));
  return facts;
}

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
  option_->check(CLI::Validator(
      [allowed](std::string& value) -> std::string {
        if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return "";
        return fmt::format("expected {}, found {}{}", fmt::join(allowed, ", "), value, did_you_mean(value, allowed));
      },
      fmt::format("{{{}}}", fmt::join(allowed, ","))));
  return *this;
}

Option Option::one_of(std::initializer_list<int> allowed) const {
  std::vector<std::string> names;
  for (const int number : allowed) names.push_back(std::to_string(number));
  return one_of(names);
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
  option_->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
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

std::string CommandLine::help(const std::vector<std::string>& path) const {
  const CLI::App* app = app_.get();
  std::string said = app->get_name();
  for (const std::string& name : path) {
    const std::vector<std::string> names = command_names(*app);
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw_bad_input("there is no command \"{}\"{}\nRun `{} --help` for those there are.", name,
                      did_you_mean(name, names), said);
    app = app->get_subcommand(name);
    said += " " + name;
  }
  return app->help(app == app_.get() ? "" : said.substr(0, said.rfind(' ')));
}

CommandFacts CommandLine::facts() const {
  return facts_of(*app_);
}

std::optional<int> CommandLine::parse(int argc, char** argv, std::string& chosen) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {
      std::ostringstream text;
      const int status = app_->exit(e, text, text);
      fmt::print("{}", text.str());
      return status;
    }
    const auto unknown = unknown_word(*app_, argc, argv);
    write_error(unknown ? fmt::format("flywheel: {}\n", *unknown)
                        : fmt::format("{}\nRun `flywheel --help`, or a command with --help, for what it takes.\n",
                                      wrapped(fmt::format("flywheel: {}", e.what()), kHelpColumns, 2)));
    return static_cast<int>(ErrorCode::kBadInput);
  }
  // As with callbacks, the last one wins where several are named.
  chosen = app_->get_subcommands().back()->get_name();
  return std::nullopt;
}

}  // namespace flywheel::cli
