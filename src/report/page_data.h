// The data of the report page (web/src/data.ts has the same shape), from the ledger and the run directories' specs.
#pragma once

#include <functional>
#include <string>

#include "base/file_system.h"
#include "base/json_fwd.h"
#include "ledger/ledger.h"

namespace flywheel::report {

// The text of recipe.toml for a configuration as a "recipe" record holds it: what it means only its workload knows.
using ConfigurationText = std::function<std::string(const Json& configuration)>;

Json page_data(const ledger::Ledger& ledger, const Path& lab, const ConfigurationText& configuration_text);

// Writes report.json, report.html, results.tsv and recipe.toml into the lab folder, each atomically.
void write_report(const ledger::Ledger& ledger, const Path& lab, const ConfigurationText& configuration_text);

}  // namespace flywheel::report
