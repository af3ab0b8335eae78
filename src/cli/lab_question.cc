#include "cli/lab_question.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "base/path_text.h"
#include "campaign/extensions.h"
#include "campaign/stopwatch.h"
#include "cli/lab_setup.h"

namespace flywheel::cli {
namespace {

constexpr const char* kAgain = "corpus.again";  // in the lab: what the sources hold now

template <typename T>
std::string text_of(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "none";
}
std::string text_of(const std::vector<std::string>& values) {
  return values.empty() ? "none" : fmt::format("{}", fmt::join(values, ", "));
}

// The budget that holds now.
std::string budget_of(const ledger::Ledger& ledger) {
  if (const auto extension = ledger.last<ledger::ExtensionRecord>()) return extension->value.budget;
  return ledger.last<ledger::LabRecord>()->value.question.budget;
}

double amount(const Budget& budget) {
  return budget.seconds > 0 ? budget.seconds : budget.flops;
}

// The ledger says whether there is anything that a longer budget would go on with.
bool is_decided(const ledger::Ledger& ledger) {
  const auto compared = ledger.last<ledger::ComparisonRecord>();
  return compared && compared->value.verdict != protocol::ComparisonVerdict::kUndecided;
}

std::string in_words(const ledger::CorpusRecord& corpus) {
  return fmt::format("{} files, {} documents, {} bytes of text (SHA-256 {}...)", corpus.files, corpus.documents,
                     corpus.bytes, corpus.sha256.substr(0, 12));
}

bool have_same_rules(const ledger::CorpusRecord& a, const ledger::CorpusRecord& b) {
  return a.document_rule == b.document_rule && a.splitting.has_value() == b.splitting.has_value() &&
         (!a.splitting || a.splitting->version == b.splitting->version);
}

// Two versions of the program may split the same text in other ways.
bool have_same_text(const ledger::CorpusRecord& a, const ledger::CorpusRecord& b) {
  if (a.sha256 == b.sha256) return true;
  return !have_same_rules(a, b) && a.bytes == b.bytes && a.documents == b.documents;
}

std::vector<std::string> missing(const std::vector<std::string>& sources) {
  std::vector<std::string> gone;
  std::error_code ignored;
  for (const std::string& source : sources)
    if (!std::filesystem::exists(path_of_text(source), ignored)) gone.push_back(source);
  return gone;
}

// Of a folder that is to be replaced or is not needed any more.
struct Removed {
  Path folder;
  ~Removed() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
};

}  // namespace

std::vector<std::string> canonical_sources(const std::vector<std::string>& given) {
  std::vector<std::string> sources;
  for (const std::string& source : given) {
    std::error_code ignored;
    Path canonical = std::filesystem::weakly_canonical(std::filesystem::absolute(source), ignored);
    if (!canonical.empty() && !canonical.has_filename() && canonical.has_relative_path())
      canonical = canonical.parent_path();  // "texts/"
    sources.push_back(path_text(canonical.empty() ? Path(source) : canonical));
  }
  return sources;
}

std::vector<std::string> identities_of_labs(const std::vector<std::string>& labs) {
  std::vector<std::string> identities;
  for (const std::string& lab : labs) {
    std::error_code ignored;
    std::string identity = path_text(lab);
    if (std::filesystem::exists(Path(lab) / "ledger.sqlite", ignored))
      if (const auto first = ledger::Ledger::open_read_only(lab)->raw_record(1)) identity = first->hash;
    identities.push_back(identity);
  }
  return identities;
}

void refuse_another_question(const ledger::Ledger& ledger, const ledger::Question& asked,
                             const std::vector<std::string>& prior, const Path& lab) {
  const ledger::Question recorded = ledger.last<ledger::LabRecord>()->value.question;
  const bool was_comparison = !recorded.compare.empty();
  if (was_comparison != !asked.compare.empty())
    throw_bad_input("the lab {} is {}, and this is {}. Give another --dir.", lab.string(),
                    was_comparison ? "a comparison" : "a campaign", was_comparison ? "a campaign" : "a comparison");
  const auto refuse = [&](const char* flag, const std::string& there, const std::string& here) {
    throw_bad_input(
        "the lab {} was started with another {}: {} there, {} here. Use the same to go on, or another --dir for a new "
        "campaign.",
        lab.string(), flag, there, here);
  };
  const auto check = [&](const char* flag, const auto& there, const auto& here) {
    if (there != here) refuse(flag, text_of(there), text_of(here));
  };
  check("recipes", recorded.compare, asked.compare);
  check("--seed", std::optional(recorded.seed), std::optional(asked.seed));
  check("--recipe", recorded.recipe_hash, asked.recipe_hash);
  check("--max-epochs", recorded.max_epochs, asked.max_epochs);
  check("--full-runs", std::optional(recorded.full_runs), std::optional(asked.full_runs));
  check("--proposers", recorded.proposers, asked.proposers);
  check("--changes", recorded.changes, asked.changes);
  // A lab of an older version keeps the paths of earlier labs as they were given.
  if (recorded.prior != asked.prior && recorded.prior != prior)
    refuse("--prior", text_of(recorded.prior), text_of(prior));
  check("--smallest-effect", recorded.smallest_effect, asked.smallest_effect);
  check("--pairs", recorded.pairs, asked.pairs);
}

void take_up_budget(ledger::Ledger& ledger, const std::string& given, const Path& lab, ProgressPrinter& printer) {
  const std::string before = budget_of(ledger);
  const Budget asked = parse_budget(given), now = parse_budget(before);
  const bool is_time = now.seconds > 0;
  if ((asked.seconds > 0) != is_time)
    throw_bad_input(
        "--budget {}: the lab {} has a budget in {} ({}), which can grow in {} only. Give that, or another --dir.",
        given, lab.string(), is_time ? "time" : "FLOPs", before, is_time ? "time" : "FLOPs");
  if (amount(asked) == amount(now)) return;
  const auto reported = ledger.last<ledger::ReportRecord>();
  const double seconds =
      std::max(campaign::Stopwatch(lab / "elapsed", real_clock(), real_clock().now_seconds()).seconds(),
               reported ? reported->value.seconds : 0.0);
  const double flops = ledger.spend().flops(), spent = is_time ? seconds : flops;
  const std::string spent_text = is_time ? format_seconds(seconds) : format_flops(flops);
  if (amount(asked) < spent)
    throw_bad_input(
        "--budget {}: the lab {} has spent {} of its {} already. Give more to go on, or {} again for what it found.",
        given, lab.string(), spent_text, before, before);
  const bool ended = campaign::last_since_extension<ledger::ReportRecord>(ledger) ||
                     campaign::last_since_extension<ledger::ComparisonRecord>(ledger);
  if (is_decided(ledger) || (ended && amount(asked) < amount(now))) {
    printer.say(fmt::format("the lab {} has ended after {}: there is nothing left to do", lab.string(), spent_text));
    return;
  }
  ledger.append(ledger::ExtensionRecord{.budget = given, .before = before, .seconds = seconds, .flops = flops});
  printer.say(fmt::format("the budget is {} now, instead of {}; {} of it are spent", given, before, spent_text));
}

data::CorpusManifest corpus_of_lab(ledger::Ledger& ledger, const std::vector<std::string>& sources, const Path& lab,
                                   const ReadCorpus& read, ProgressPrinter& printer) {
  const Path folder = lab / "corpus", again = lab / kAgain;
  const ledger::CorpusRecord recorded = ledger.last<ledger::CorpusRecord>()->value;
  std::optional<data::CorpusManifest> own;
  std::string damage;
  try {
    own = data::Corpus::open(folder).manifest();
    if (own->sha256 != recorded.sha256) damage = folder.string() + " holds other text than the lab was begun with";
  } catch (const Error& e) {
    damage = e.what();
  }
  const auto moved = ledger.last<ledger::MovedNote>();
  const std::vector<std::string> known =
      moved ? moved->value.sources : ledger.last<ledger::LabRecord>()->value.question.sources;
  const bool is_known = known == sources;
  if (damage.empty() && is_known) return *own;
  if (const std::vector<std::string> gone = missing(sources); !gone.empty()) {
    if (!damage.empty())
      throw_bad_input("{}. It is made again from the same text, but {} is not there: give --corpus where it is now",
                      damage, fmt::join(gone, ", "));
    printer.say(fmt::format("{} is not there; the lab goes on with its own copy of the text", fmt::join(gone, ", ")));
    return *own;
  }
  printer.say(damage.empty() ? fmt::format("--corpus is in another place than before: is it the same text?")
                             : fmt::format("{}; it is made again", damage));
  const Removed removed{again};
  const data::CorpusManifest found = read(again);
  const ledger::CorpusRecord there = corpus_record(found);
  if (!have_same_text(recorded, there) || (!damage.empty() && recorded.sha256 != there.sha256))
    throw_bad_input(
        "the lab {} was started with another --corpus: {} there, {} here{}. Use the same text to go on, or another "
        "--dir for a new campaign.",
        lab.string(), in_words(recorded), in_words(there),
        have_same_rules(recorded, there) ? "" : "; another version of the program read it by other rules");
  if (!damage.empty()) {
    std::error_code error;
    std::filesystem::remove_all(folder, error);
    std::filesystem::rename(again, folder, error);
    if (error) throw_failed("cannot move {} to {}: {}", again.string(), folder.string(), error.message());
    own = found;
  }
  if (!is_known) ledger.append(ledger::MovedNote{sources});
  return *own;
}

}  // namespace flywheel::cli
