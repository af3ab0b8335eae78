#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/host/visible_text.h"

namespace flywheel {

void set_up_log(bool quiet) {
  const bool colour = ::isatty(2) != 0 && std::getenv("NO_COLOR") == nullptr;
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(colour ? spdlog::color_mode::always
                                                                           : spdlog::color_mode::never);
  auto logger = std::make_shared<spdlog::logger>("flywheel", sink);
  logger->set_pattern("%H:%M:%S %^%v%$");
  logger->set_level(quiet ? spdlog::level::warn : spdlog::level::info);
  spdlog::set_default_logger(logger);
}

void log_info(std::string_view line) {
  spdlog::info("{}", visible(line));
}

void log_warning(std::string_view line) {
  spdlog::warn("{}", visible(line));
}

void write_error(std::string_view text) {
  write_terminal(visible(text));
}

void write_terminal(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stderr) != text.size()) std::clearerr(stderr);
}

}  // namespace flywheel
