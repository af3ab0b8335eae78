// Progress and warnings on stderr. Results never go through here: they are stdout's.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace flywheel {

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

// Writes to stderr as it is. Never throws: a message that does not fit on a full disk must not end the program.
void write_error(std::string_view text);

}  // namespace flywheel
