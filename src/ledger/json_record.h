// A record with its payload as JSON, for those that read fields of any kind.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"

namespace flywheel::ledger {

struct Record {
  int64_t sequence = 0;
  std::string time;  // UTC
  std::string kind;
  Json payload;
  std::string hash;
};

}  // namespace flywheel::ledger
