#include "protocol/states.h"

namespace flywheel::protocol {

std::optional<FailureKind> failure_kind(std::string_view reason) {
  for (const Named<FailureKind>& row : kFailureKindNames) {
    if (!reason.starts_with(row.name)) continue;
    if (reason.size() == row.name.size() || reason[row.name.size()] == ':' || reason[row.name.size()] == ' ')
      return row.value;
  }
  return std::nullopt;
}

std::string failure_reason(FailureKind kind, std::string_view detail) {
  return fmt::format("{}: {}", name(kind), detail);
}

}  // namespace flywheel::protocol
