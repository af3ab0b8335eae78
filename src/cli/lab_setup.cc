#include "cli/lab_setup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "base/host/machine_limits.h"
#include "base/host/ownership.h"
#include "base/leftovers.h"
#include "base/path_text.h"
#include "base/stop_signals.h"
#include "cli/lab_question.h"
#include "cli/version.h"
#include "report/page_data.h"
#include "workload/flywheel/flywheel_workload.h"

namespace flywheel::cli {
namespace {

// Removes what this command created when the input turns out to be bad: nothing is left behind.
class CreatedFolder {
 public:
  explicit CreatedFolder(Path path) : path_(std::move(path)), created_(!std::filesystem::exists(path_)) {
    flywheel::create_directories(path_);
  }
  void remove_if_created() {
    std::error_code ignored;
    if (created_) std::filesystem::remove_all(path_, ignored);
  }

 private:
  Path path_;
  bool created_;
};

// Runs beyond the first ones, which only time the machine: never to be removed.
bool holds_results(const ledger::Ledger* ledger) {
  if (ledger == nullptr) return false;
  const auto runs = ledger->runs();
  return std::any_of(runs.begin(), runs.end(), [](const auto& run) { return run.stage != "calibrate"; });
}

void check_sources(const std::vector<std::string>& sources) {
  for (const std::string& source : sources) {
    std::error_code error;
    if (!std::filesystem::exists(path_of_text(source), error))
      throw_bad_input("--corpus {}: no such file or folder{}", source,
                      error && error.value() != ENOENT ? " (" + error.message() + ")" : "");
  }
}

void remove_lab_leftovers(const Path& lab) {
  remove_leftovers(lab);
  std::error_code error;
  for (std::filesystem::directory_iterator run(lab / "runs", error), end; !error && run != end; run.increment(error))
    remove_leftovers(run->path());
}

// A corpus is read once; another way of reading the same files would be another corpus.
void refuse_other_reading(const data::CorpusManifest& manifest, const data::ReadingOptions& asked, const Path& lab) {
  if (!manifest.reading) return;
  const data::ReadingFacts& was = *manifest.reading;
  if (!asked.text_field.empty() && asked.text_field != was.text_field)
    throw_bad_input("--text-field {}: the lab {} read its corpus with \"{}\"; use the same, or another --dir",
                    asked.text_field, lab.string(), was.text_field);
  if (asked.follow_links && !was.follow_links)
    throw_bad_input("--follow-links: the lab {} read its corpus without; leave it out, or use another --dir",
                    lab.string());
}

// How a lab that goes on reads its text again: as it did.
data::ReadingOptions reading_of_lab(const Path& lab, const data::ReadingOptions& asked) {
  try {
    const auto was = data::Corpus::open(lab / "corpus").manifest().reading;
    if (was)
      return {.text_field = was->text_field == data::kUsualTextField ? asked.text_field : was->text_field,
              .follow_links = was->follow_links};
  } catch (const Error&) {  // damaged, which is why it is read again
  }
  return asked;
}

data::CorpusManifest read_corpus(const std::vector<std::string>& sources, const data::ReadingOptions& reading,
                                 const Path& lab, const Path& folder, ProgressPrinter& printer) {
  printer.say(fmt::format("reading the corpus: {}", fmt::join(sources, ", ")));
  double last = real_clock().now_seconds();
  data::BuildOptions build;
  for (const std::string& source : sources) build.sources.push_back(path_of_text(source));
  build.threads = usable_cores();
  build.progress = [&](const data::BuildProgress& progress) {
    const double now = real_clock().now_seconds();
    if (now < last + 2) return;
    last = now;
    printer.say(
        fmt::format("  {} files, {}", progress.files_seen, format_bytes(static_cast<double>(progress.bytes_read))));
  };
  build.should_stop = [] { return stop_signal() != 0; };
  build.reading = reading;
  build.lab = lab;
  const data::CorpusManifest manifest = data::build_corpus(build, folder);
  // One text on both sides of every decision would confirm whatever was found on it.
  if (manifest.split_sha256[1] == manifest.split_sha256[2]) {
    std::filesystem::remove_all(folder);
    throw_bad_input(
        "--corpus {}: its search, audit and locked splits are the same text (flywheel corpus --validation-tail): fit "
        "to "
        "repeat a measurement with flywheel train, not for a campaign. Give the text itself.",
        sources.front());
  }
  if (manifest.reading)
    for (const std::string& line : data::reading_lines(*manifest.reading)) printer.say("  " + line);
  return manifest;
}

}  // namespace

int with_lab(const Path& lab, const std::vector<std::string>& sources, const data::ReadingOptions& reading,
             const ledger::Question& question, const std::vector<std::string>& prior,
             const std::vector<std::string>& command_as_given, ProgressPrinter& printer,
             const std::function<int(ledger::Ledger&, const data::CorpusManifest&)>& work) {
  ledger::Question asked = question;
  asked.sources = sources;
  asked.prior = identities_of_labs(prior);
  std::vector<std::string> command;
  for (const std::string& word : command_as_given) command.push_back(path_text(word));
  const bool resuming = std::filesystem::exists(lab / "ledger.sqlite");
  if (!resuming) {
    check_sources(sources);
    if (std::filesystem::exists(lab) && !std::filesystem::is_directory(lab))
      throw_bad_input("--dir {} is a file, expected a folder", lab.string());
    if (std::filesystem::exists(lab) && !std::filesystem::is_empty(lab) && !std::filesystem::exists(lab / "lock"))
      throw_bad_input("--dir {} is not empty and holds no lab; name a new folder, so that nothing of yours is touched",
                      lab.string());
  }
  if (follow_permissions_of(resuming ? std::vector{(lab / "ledger.sqlite").string()} : sources) && !resuming)
    printer.say("not everybody may read all of the corpus: the lab is as private as it is");
  CreatedFolder folder(lab);
  std::optional<FileLock> lock;
  std::unique_ptr<ledger::Ledger> ledger;
  try {
    std::string holder;
    lock = FileLock::try_acquire(lab / "lock", &holder);
    if (!lock)
      throw Error(ErrorCode::kLocked,
                  fmt::format("the lab {} is in use by process {}; wait for it, stop it, or use another --dir",
                              lab.string(), holder));
    for (const char* name : {"elapsed", "runs", "corpus"}) refuse_foreign(lab / name);
    catch_stop_signals();
    remove_lab_leftovers(lab);
    if (resuming) ledger = ledger::Ledger::open(lab);
    if (ledger && ledger->last<ledger::LabRecord>() && ledger->last<ledger::CorpusRecord>()) {
      refuse_another_question(*ledger, asked, prior, lab);
      const auto read = [&](const Path& to) {
        return read_corpus(sources, reading_of_lab(lab, reading), lab, to, printer);
      };
      const auto corpus = corpus_of_lab(*ledger, sources, lab, read, printer);
      refuse_other_reading(corpus, reading, lab);
      take_up_budget(*ledger, asked.budget, lab, printer);
      printer.say(fmt::format("going on with the lab {} ({} records)", lab.string(), ledger->size()));
      return work(*ledger, corpus);
    }
    // A lab that was killed while it was made may have its corpus already.
    const auto corpus = std::filesystem::exists(lab / "corpus" / "manifest.json")
                            ? data::Corpus::open(lab / "corpus").manifest()
                            : read_corpus(sources, reading, lab, lab / "corpus", printer);
    refuse_other_reading(corpus, reading, lab);
    if (!ledger) ledger = ledger::Ledger::open(lab);
    const ledger::LabRecord record{.schema = ledger::kSchemaVersion,
                                   .program = program_version(),
                                   .created = utc_timestamp(),
                                   .question = asked,
                                   .command = command};
    ledger->append_all({record, corpus_record(corpus)});
    printer.say(fmt::format("corpus: {} of text in {} documents ({} duplicates dropped, {} binary files skipped)",
                            format_bytes(static_cast<double>(corpus.bytes)),
                            format_count(static_cast<double>(corpus.documents)), corpus.duplicate_documents,
                            corpus.binary_files));
    if (corpus.splitting)
      printer.say(
          fmt::format("splits: {} near-duplicates kept with what they resemble; {:.1f}, {:.1f} and {:.1f}% of search, "
                      "audit and locked stand verbatim in train",
                      corpus.splitting->near_duplicates, 100 * corpus.splitting->overlap[0],
                      100 * corpus.splitting->overlap[1], 100 * corpus.splitting->overlap[2]));
    return work(*ledger, corpus);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kBadInput && !resuming && !holds_results(ledger.get())) folder.remove_if_created();
    throw;
  }
}

ledger::CorpusRecord corpus_record(const data::CorpusManifest& manifest) {
  return ledger::Codec<ledger::CorpusRecord>::from_json(data::to_json(manifest), "corpus");
}

void write_lab_report(const ledger::Ledger& ledger, const Path& lab) {
  refuse_foreign(lab);
  const workload::FlywheelWorkload workload({.corpus = lab / "corpus"});
  report::write_report(ledger, lab, [&](const Json& configuration) {
    return workload.to_file(*workload.from_json(configuration, "ledger: recipe"));
  });
}

int slots_of(int given) {
  if (given < 0 || given > 4096)
    throw_bad_input("--slots {}: expected between 1 and 4096, or none for one per core", given);
  return given == 0 ? usable_cores() : given;
}

int stopped_early(ProgressPrinter& printer) {
  printer.say("stopped; the same command goes on from here");
  return static_cast<int>(stop_code(stop_signal()));
}

}  // namespace flywheel::cli
