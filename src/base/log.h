// Progress and warnings on stderr. Results never go through here: they are stdout's.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace flywheel {

// Control characters in lines and errors are made visible: the names of others stand in them.

// Plain lines "hh:mm:ss message", coloured only on a terminal and without NO_COLOR.
void set_up_log(bool quiet);

void log_info(std::string_view line);
void log_warning(std::string_view line);

template <typename First, typename... Args>
void log_info(fmt::format_string<First, Args...> format, First&& first, Args&&... args) {
  log_info(std::string_view(fmt::format(format, std::forward<First>(first), std::forward<Args>(args)...)));
}

template <typename First, typename... Args>
void log_warning(fmt::format_string<First, Args...> format, First&& first, Args&&... args) {
  log_warning(std::string_view(fmt::format(format, std::forward<First>(first), std::forward<Args>(args)...)));
}

// Writes to stderr. Never throws: a message that does not fit on a full disk must not end the program.
void write_error(std::string_view text);
// The same with the control characters of a line that is rewritten in place; names in it went through visible().
void write_terminal(std::string_view text);

}  // namespace flywheel
