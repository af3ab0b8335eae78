// Completion for bash, zsh and fish: a table of what each command takes, and for each shell a few lines that read it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>

#include "base/error.h"
#include "cli/program.h"

namespace flywheel::cli {
namespace {

// `visit` is called for each command with the words that lead to it, parents first; the program itself has none.
void walk(const CommandFacts& command, const std::string& path,
          const std::function<void(const std::string& path, const CommandFacts&)>& visit) {
  visit(path, command);
  for (const CommandFacts& inner : command.commands)
    walk(inner, path.empty() ? inner.name : path + " " + inner.name, visit);
}

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// What completes a value: its choices, or the kind of thing that it names.
enum class Kind { kWord, kFile, kFolder, kLab, kChoice };

Kind kind_of(const OptionFacts& option) {
  const auto holds = [&](const char* word) { return option.value.find(word) != std::string::npos; };
  if (!option.choices.empty()) return Kind::kChoice;
  if (holds("LAB")) return Kind::kLab;
  if (holds("FOLDER")) return Kind::kFolder;
  for (const char* word : {"INT", "FLOAT", "TIME", "FLOPS", "NAMES", "SHARE"})
    if (holds(word)) return Kind::kWord;
  return Kind::kFile;
}

bool takes_value(const OptionFacts& option) {
  return !option.value.empty();
}

std::string command_words(const CommandFacts& command) {
  std::vector<std::string> words;
  for (const CommandFacts& inner : command.commands) words.push_back(inner.name);
  return fmt::format("{}", fmt::join(words, " "));
}

// ---- bash -----------------------------------------------------------------------------------------------------------
std::string bash_kind(const OptionFacts& option) {
  switch (kind_of(option)) {
    case Kind::kChoice:
      return fmt::format("words:{}", fmt::join(option.choices, " "));
    case Kind::kLab:
      return "labs";
    case Kind::kFolder:
      return "folders";
    case Kind::kFile:
      return "files";
    case Kind::kWord:
      break;
  }
  return "nothing";
}

constexpr const char* kBash = R"sh(# Completion of flywheel for bash: source <(flywheel completion bash)
_flywheel_facts() {  # COMMAND: what it takes, a line each: "command NAME", "option NAME KIND", "place KIND"
  case "$1" in
@TABLE@  esac
}
_flywheel_offer() {  # KIND WORD
  local name IFS=$'\n'
  case "$1" in
    words:*) COMPREPLY+=($(IFS=$' \t\n'; compgen -W "${1#words:}" -- "$2")) ;;
    files) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$2")) ;;
    folders) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$2")) ;;
    labs)  # labs first; other folders where there are none
      compopt -o filenames 2>/dev/null
      for name in $(compgen -d -- "$2"); do [ -e "$name/ledger.sqlite" ] && COMPREPLY+=("$name"); done
      [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY+=($(compgen -d -- "$2")) ;;
  esac
}
_flywheel() {
  local word="${COMP_WORDS[COMP_CWORD]}" path="" i line kind names="" after=""
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    while read -r line; do
      [ "$line" = "command ${COMP_WORDS[i]}" ] && path="${path:+$path }${COMP_WORDS[i]}"
    done < <(_flywheel_facts "$path")
  done
  for ((i = COMP_CWORD - 1; i > 0; i--)); do
    case "${COMP_WORDS[i]}" in -*) after="${COMP_WORDS[i]}"; break ;; esac
  done
  while read -r line; do
    case "$line" in
      "option $after one "*) [ $i -eq $((COMP_CWORD - 1)) ] && kind="${line#"option $after one "}" ;;
      "option $after many "*) kind="${line#"option $after many "}" ;;
    esac
  done < <(_flywheel_facts "$path")
  if [ -n "$kind" ] && [ "${word#-}" = "$word" ]; then
    _flywheel_offer "$kind" "$word"
    return
  fi
  while read -r line; do
    case "$line" in
      command\ *) names+=" ${line#command }" ;;
      option\ *) line="${line#option }"; [ "${word#-}" != "$word" ] && names+=" ${line%% *}" ;;
      place\ *) [ "${word#-}" = "$word" ] && _flywheel_offer "${line#place }" "$word" ;;
    esac
  done < <(_flywheel_facts "$path")
  COMPREPLY+=($(compgen -W "$names" -- "$word"))
}
complete -F _flywheel flywheel
)sh";

std::string bash_script(const CommandFacts& program) {
  std::string table;
  walk(program, "", [&](const std::string& path, const CommandFacts& command) {
    std::vector<std::string> lines;
    for (const CommandFacts& inner : command.commands) lines.push_back("command " + inner.name);
    for (const OptionFacts& option : command.options) {
      for (const std::string& name : option.names)
        lines.push_back(takes_value(option)
                            ? fmt::format("option {} {} {}", name, option.many ? "many" : "one", bash_kind(option))
                            : fmt::format("option {} flag", name));
      if (!option.place.empty()) lines.push_back("place " + bash_kind(option));
    }
    std::string printed;
    for (const std::string& line : lines) printed += " " + quoted(line);
    table += fmt::format("    {}) printf '%s\\n'{} ;;\n", quoted(path), printed);
  });
  std::string script = kBash;
  script.replace(script.find("@TABLE@"), 7, table);
  return script;
}

// ---- zsh ------------------------------------------------------------------------------------------------------------
std::string zsh_action(const OptionFacts& option) {
  switch (kind_of(option)) {
    case Kind::kChoice:
      return fmt::format("({})", fmt::join(option.choices, " "));
    case Kind::kLab:
      return "_flywheel_labs";
    case Kind::kFolder:
      return "_files -/";
    case Kind::kFile:
      return "_files";
    case Kind::kWord:
      break;
  }
  return " ";
}

// Of a specification of _arguments, where colons and brackets have a meaning.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_function_of(const std::string& path) {
  std::string name = "_flywheel";
  for (const char c : path.empty() ? "" : " " + path) name += c == ' ' ? '_' : c;
  return name;
}

std::string zsh_script(const CommandFacts& program) {
  std::string script =
      "#compdef flywheel\n# Completion of flywheel for zsh: a file _flywheel in a folder of $fpath.\n"
      "_flywheel_labs() { _files -/ -g '*(/e:\"[[ -e $REPLY/ledger.sqlite ]]\":)' || _files -/ }\n";
  walk(program, "", [&](const std::string& path, const CommandFacts& command) {
    script += zsh_function_of(path) + "() {\n";
    if (!command.commands.empty()) script += "  local line state\n";
    script += "  _arguments -C";
    for (const OptionFacts& option : command.options) {
      const std::string value =
          fmt::format(":{}:{}", zsh_text(option.value.empty() ? "value" : option.value), zsh_action(option));
      for (const std::string& name : option.names)
        script += " \\\n    " + quoted(fmt::format("{}{}[{}]{}", option.many ? "*" : "", name, zsh_text(option.help),
                                                   takes_value(option) ? value : ""));
      if (!option.place.empty())
        script += " \\\n    " +
                  quoted(fmt::format("{}:{}:{}", option.many ? "*" : "", zsh_text(option.place), zsh_action(option)));
    }
    if (command.commands.empty()) {
      script += "\n}\n";
      return;
    }
    script +=
        " \\\n    '1:command:->command' '*::argument:->argument'\n  case $state in\n    command)\n      local -a "
        "commands=(";
    for (const CommandFacts& inner : command.commands)
      script += "\n        " + quoted(inner.name + ":" + zsh_text(inner.help));
    script += ")\n      _describe command commands ;;\n    argument)\n      case $line[1] in\n";
    for (const CommandFacts& inner : command.commands)
      script += fmt::format("        {}) {} ;;\n", inner.name,
                            zsh_function_of(path.empty() ? inner.name : path + " " + inner.name));
    script += "      esac ;;\n  esac\n}\n";
  });
  return script + "if [ \"$funcstack[1]\" = _flywheel ]; then _flywheel \"$@\"; else compdef _flywheel flywheel; fi\n";
}

// ---- fish -----------------------------------------------------------------------------------------------------------
std::string fish_argument(const OptionFacts& option) {
  switch (kind_of(option)) {
    case Kind::kChoice:
      return fmt::format(" -x -a {}", quoted(fmt::format("{}", fmt::join(option.choices, " "))));
    case Kind::kLab:
      return " -x -a '(__flywheel_labs)'";
    case Kind::kFolder:
      return " -x -a '(__fish_complete_directories (commandline -ct))'";
    case Kind::kFile:
      return " -r -F";
    case Kind::kWord:
      break;
  }
  return " -x";
}

std::string fish_script(const CommandFacts& program) {
  std::string script = R"sh(# Completion of flywheel for fish.
function __flywheel_labs
  set -l labs
  for folder in (__fish_complete_directories (commandline -ct) '')
    set -l name (string split \t -- $folder)[1]
    test -e $name/ledger.sqlite; and set -a labs $name
  end
  if set -q labs[1]
    printf '%s\n' $labs
  else
    __fish_complete_directories (commandline -ct)
  end
end
function __flywheel_at  # whether the words after the program begin with these and name no further command
  set -l words
  for word in (commandline -opc)[2..-1]
    string match -q -- '-*' $word; or set -a words $word
  end
  set -l depth (count $argv)
  test (count $words) -ge $depth; or return 1
  test $depth -eq 0; or test "$words[1..$depth]" = "$argv"
end
complete -c flywheel -f
)sh";
  walk(program, "", [&](const std::string& path, const CommandFacts& command) {
    const std::string where =
        fmt::format("complete -c flywheel -n '{}'",
                    path.empty() ? "test (count (commandline -opc)) -eq 1" : "__flywheel_at " + path);
    for (const CommandFacts& inner : command.commands)
      script += fmt::format("{} -f -a {} -d {}\n",
                            path.empty() ? where
                                         : fmt::format("complete -c flywheel -n '__flywheel_at {0}; and not "
                                                       "__fish_seen_subcommand_from {1}'",
                                                       path, command_words(command)),
                            inner.name, quoted(inner.help));
    for (const OptionFacts& option : command.options) {
      std::string names;
      for (const std::string& name : option.names)
        names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!names.empty())
        script += fmt::format("{}{}{} -d {}\n", where, names, takes_value(option) ? fish_argument(option) : "",
                              quoted(option.help));
      if (!option.place.empty())
        script += fmt::format(
            "{}{}\n", where, kind_of(option) == Kind::kFile ? " -F" : fish_argument(option).substr(3).insert(0, " -f"));
    }
  });
  return script;
}

}  // namespace

std::string completion_script(const CommandFacts& program, const std::string& shell) {
  if (shell == "bash") return bash_script(program);
  if (shell == "zsh") return zsh_script(program);
  if (shell == "fish") return fish_script(program);
  throw_bad_input("no completion for \"{}\"; there is bash, zsh and fish", shell);
}

}  // namespace flywheel::cli
