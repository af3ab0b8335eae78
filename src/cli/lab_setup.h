// What `flywheel run` and `flywheel compare` do before and after the science: the folder, its lock, the corpus, the
// ledger with the question it answers, and leaving nothing behind where the input was bad.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/json.h"
#include "cli/progress.h"
#include "engine/data/corpus.h"
#include "ledger/ledger.h"

namespace flywheel::cli {

std::vector<std::string> canonical_sources(const std::vector<std::string>& sources);

// Makes or opens the lab, reads the corpus into it, and calls `work`, whose exit status it returns. Throws kBadInput
// for sources that are not there, a folder that is no lab, a lab in use, and a lab that was asked another question.
int with_lab(const Path& lab, const std::vector<std::string>& sources, const Json& asked, ProgressPrinter& printer,
             const std::function<int(ledger::Ledger&, const data::CorpusManifest&)>& work);

// --slots as given (0: one per core of this process); throws kBadInput.
int slots_of(int given);

// Says that the same command goes on; the exit status by the signal.
int stopped_early(ProgressPrinter& printer);

}  // namespace flywheel::cli
