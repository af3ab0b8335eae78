// What `flywheel run` and `flywheel compare` do around a campaign: the lab's folder, its lock, the corpus, and the
// ledger with the question it answers. Bad input leaves nothing behind.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "cli/progress.h"
#include "engine/data/corpus.h"
#include "ledger/ledger.h"

namespace flywheel::cli {

// Of the options with which `run`, `compare` and `corpus` read files.
inline constexpr const char* kTextFieldHelp =
    "The text of JSON records (.jsonl, .json), dotted where it is nested; default: text";
inline constexpr const char* kFollowLinksHelp = "Also follow links that lead out of the given files and folders";

// Makes or opens the lab, reads the corpus into it, and calls `work`, whose exit status it returns. `sources` are texts
// of paths (lab_question.h), `prior` earlier labs as given; `command` is kept for the report of a new lab. Throws
// kBadInput for sources that are not there, a folder that is no lab, and a lab that was asked another question; kLocked
// for a lab in use.
int with_lab(const Path& lab, const std::vector<std::string>& sources, const data::ReadingOptions& reading,
             const ledger::Question& question, const std::vector<std::string>& prior,
             const std::vector<std::string>& command, ProgressPrinter& printer,
             const std::function<int(ledger::Ledger&, const data::CorpusManifest&)>& work);

// What the ledger keeps of a corpus.
ledger::CorpusRecord corpus_record(const data::CorpusManifest& manifest);

// report.json, report.html, results.tsv and recipe.toml.
void write_lab_report(const ledger::Ledger& ledger, const Path& lab);

// --slots as given (0: one per core of this process); throws kBadInput.
int slots_of(int given);

// Prints that the same command resumes the lab; returns the exit status for the signal.
int stopped_early(ProgressPrinter& printer);

}  // namespace flywheel::cli
