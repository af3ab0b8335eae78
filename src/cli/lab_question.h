// Whether a lab is asked what it was asked before. A question is known by what it says and not by where things lie: a
// lab or a corpus that was moved, or is given by another spelling of its path, goes on. Its budget may grow.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "cli/progress.h"
#include "engine/data/corpus.h"
#include "ledger/ledger.h"

namespace flywheel::cli {

// Paths as the ledger keeps them (base/path_text.h), links resolved.
std::vector<std::string> canonical_sources(const std::vector<std::string>& given);
// What earlier labs are known by: the hash of their first record. Of a folder that holds no lab: its path.
std::vector<std::string> identities_of_labs(const std::vector<std::string>& labs);

// Throws kBadInput that names the option in which `asked` differs; corpus and budget are judged below.
void refuse_another_question(const ledger::Ledger& ledger, const ledger::Question& asked,
                             const std::vector<std::string>& prior, const Path& lab);

// Records another budget of the same unit. Throws kBadInput for one of another unit, or smaller than what is spent.
void take_up_budget(ledger::Ledger& ledger, const std::string& given, const Path& lab, ProgressPrinter& printer);

// Reads the sources into a folder.
using ReadCorpus = std::function<data::CorpusManifest(const Path& folder)>;
// The corpus of a lab that goes on. Its own copy is what counts: sources in another place are read to see whether they
// hold the same text, and sources that are gone are not missed. A copy that is damaged is made again from sources of
// the same text. Throws kBadInput for other text, and for a damaged copy without its sources.
data::CorpusManifest corpus_of_lab(ledger::Ledger& ledger, const std::vector<std::string>& sources, const Path& lab,
                                   const ReadCorpus& read, ProgressPrinter& printer);

}  // namespace flywheel::cli
