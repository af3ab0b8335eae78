// How often the intervals of a loss over documents hold the loss of the whole source, for docs/splits.md: a normal's
// quantile of the plain linearised error beside base/cluster_error.h.
//
//   measure_sampling DIRECTORY...
//
// The files of a directory, up to 40 MB in a random order, are documents; those above max(8 KiB, 0.5%), which a corpus
// cuts, are left out. Half of them train a byte model of order 2 and one of order 1, which score the other half: that
// is the source, with the losses and lengths that its documents have. From it so many documents are drawn, with
// replacement, and the truth is the ratio over the source. Effects: "made" has the lengths, and losses of a normal for
// each document; "loss" is the order-2 model's; "pair" the difference of the two.
//
//   measure_sampling --splits DIRECTORY...
//
// Corpora of up to 240 MB, half of it scored, that are split by the rule of the splits, with documents in another
// random order each time: "as it is", the scored files with their near-duplicates; "books", where files laid end to end
// are documents of 1 MiB, begun at a random place each time: one, three, or one of four fifths and small files beside
// it. The error of the audit split is held against all text of the corpus that may be judged by (base/sampled_text.h),
// and against books of the directory and files like the small ones. "before" takes blocks and near-duplicates for
// documents.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "base/cluster_error.h"
#include "base/rng.h"
#include "base/sampled_text.h"
#include "base/statistics.h"
#include "engine/data/split/near_duplicates.h"
#include "engine/data/split/split_plan.h"

namespace {

using flywheel::Rng;

constexpr double kMostBytes = 4e7, kMostSplitBytes = 2.4e8, kLargestFile = 3e6, kCutShare = 0.005, kCutBytes = 8192;
constexpr size_t kTextBytes = 1000;  // without a zero byte among these it is text

struct Source {
  std::vector<double> bytes, loss, pair;  // of each document; bits
};

class ByteModels {
 public:
  void learn(const std::string& text) {
    walk(text, [&](size_t pair, size_t last, size_t byte) {
      ++of_pair_[pair << 8 | byte], ++pairs_[pair];
      ++of_last_[last << 8 | byte], ++lasts_[last];
    });
  }
  // Bits of order 1 and of order 2, of what comes after the first bytes.
  std::pair<double, double> bits(const std::string& text, size_t skipped = 0) const {
    double first = 0, second = 0;
    walk(text, [&](size_t pair, size_t last, size_t byte) {
      if (skipped > 0) {
        --skipped;
        return;
      }
      const double p1 = (of_last_[last << 8 | byte] + 0.05) / (lasts_[last] + 0.05 * 256);
      const double p2 = (of_pair_[pair << 8 | byte] + 2 * p1) / (pairs_[pair] + 2.0);
      first -= std::log2(p1), second -= std::log2(p2);
    });
    return {first, second};
  }

 private:
  template <class Each>
  static void walk(const std::string& text, const Each& each) {
    size_t before = 0, last = 0;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      each(before << 8 | last, last, byte);
      before = last, last = byte;
    }
  }
  std::vector<uint32_t> of_pair_ = std::vector<uint32_t>(1 << 24), pairs_ = std::vector<uint32_t>(1 << 16);
  std::vector<uint32_t> of_last_ = std::vector<uint32_t>(1 << 16), lasts_ = std::vector<uint32_t>(1 << 8);
};

// Texts that the models learned and that they score, in a random order.
struct Texts {
  std::vector<std::string> scored;
  std::vector<std::string> path;  // of each scored one
  ByteModels models;
  double total = 0;
};

Texts texts_of(const std::string& directory, double most_bytes) {
  namespace fs = std::filesystem;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(directory, fs::directory_options::skip_permission_denied))
    if (entry.is_regular_file() && !entry.is_symlink()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  Rng rng(5);
  for (size_t i = paths.size(); i > 1; --i) std::swap(paths[i - 1], paths[rng.below(i)]);
  Texts texts;
  bool learn = true;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.empty() || static_cast<double>(text.size()) > kLargestFile || text.find('\0') < kTextBytes) continue;
    texts.total += static_cast<double>(text.size());
    if (learn) {
      texts.models.learn(text);
    } else {
      texts.scored.push_back(std::move(text));
      texts.path.push_back(path.string());
    }
    learn = !learn;
    if (texts.total > most_bytes) break;
  }
  return texts;
}

Source source_of(const Texts& texts) {
  Source source;
  for (const std::string& text : texts.scored) {
    const auto bytes = static_cast<double>(text.size());
    if (bytes > std::max(kCutBytes, kCutShare * texts.total)) continue;
    const auto [first, second] = texts.models.bits(text);
    source.bytes.push_back(bytes);
    source.loss.push_back(second);
    source.pair.push_back(second - first);
  }
  return source;
}

double sum(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result += value;
  return result;
}

double plain_half_width(const std::vector<double>& y, const std::vector<double>& x) {
  const double ratio = sum(y) / sum(x), n = static_cast<double>(y.size());
  double squares = 0;
  for (size_t i = 0; i < y.size(); ++i) squares += std::pow(y[i] - ratio * x[i], 2);
  return flywheel::kNormal90 * std::sqrt(n / (n - 1) * squares) / sum(x);
}

void measure(const std::string& name, const char* effect, const std::vector<double>& bytes,
             const std::vector<double>& bits, double truth) {
  for (const int documents : {4, 8, 16, 32, 64, 128, 250, 500, 2000}) {
    const int trials = documents > 250 ? 500 : 2000;
    Rng rng(7, static_cast<uint64_t>(documents));
    int told = 0, plain = 0, inside = 0;
    std::vector<double> degrees, wider;
    for (int trial = 0; trial < trials; ++trial) {
      std::vector<double> x, y;
      for (int d = 0; d < documents; ++d) {
        const auto i = static_cast<size_t>(rng.below(bytes.size()));
        x.push_back(bytes[i]);
        y.push_back(bits.empty() ? bytes[i] * (2 + 0.4 * rng.normal()) : bits[i]);
      }
      const double off = std::abs(sum(y) / sum(x) - truth), plain_half = plain_half_width(y, x);
      plain += off < plain_half;
      const flywheel::ClusterError error = *flywheel::ratio_error(y, x);
      if (error.degrees == 0) continue;
      ++told;
      inside += off < error.half_width(0.9);
      degrees.push_back(std::min(error.degrees, 1e4));
      wider.push_back(error.half_width(0.9) / plain_half);
    }
    fmt::print(
        "{:<24} {:<5} {:>5} documents  degrees {:>6.1f}  plain {:>5.1f}%  now {:>5.1f}%, {:.2f} times as wide, "
        "told in {:>3.0f}%\n",
        name, effect, documents, flywheel::median(degrees), 100.0 * plain / trials, 100.0 * inside / told,
        flywheel::median(wider), 100.0 * told / trials);
  }
}

// ---- corpora that are split ------------------------------------------------------------------------------------

constexpr size_t kChunk = 64, kBook = 1 << 20, kSmallFile = 8192;

// A document by its losses up to every chunk, once "loss" and once "pair".
struct Profile {
  size_t bytes = 0;
  std::array<std::vector<double>, 2> bits_before;
  // Of [begin, end), the text begun `shift` later and wrapped.
  double bits(size_t effect, size_t begin, size_t end, size_t shift) const {
    return until(effect, end + shift) - until(effect, begin + shift);
  }
  double all(size_t effect) const { return bits_before[effect].back(); }

 private:
  double until(size_t effect, size_t position) const {
    const auto wrapped = static_cast<double>(position / bytes) * all(effect);
    const size_t chunk = position % bytes / kChunk;
    const double part = static_cast<double>(position % bytes % kChunk) / kChunk;
    const std::vector<double>& bits = bits_before[effect];
    return wrapped + bits[chunk] + part * (bits[std::min(chunk + 1, bits.size() - 1)] - bits[chunk]);
  }
};

Profile profile_of(const ByteModels& models, const std::string& text) {
  Profile profile;
  profile.bytes = text.size();
  for (auto& bits : profile.bits_before) bits.push_back(0);
  for (size_t begin = 0; begin < text.size(); begin += kChunk) {
    const size_t before = std::min<size_t>(begin, 2);
    const auto [first, second] = models.bits(text.substr(begin - before, kChunk + before), before);
    profile.bits_before[0].push_back(profile.bits_before[0].back() + second);
    profile.bits_before[1].push_back(profile.bits_before[1].back() + second - first);
  }
  return profile;
}

struct Corpus {
  std::vector<flywheel::data::PlanDocument> plan;
  std::vector<const Profile*> profiles;
  std::array<double, 2> truth{};      // bits per byte of all that may be judged by
  std::array<double, 2> of_others{};  // of books and files like these
};

// What the splits are shares of: text of large documents, and all of the small clusters in the place of those that are
// not too much like others.
void set_truth(Corpus& corpus, const flywheel::data::SplitRule& rule) {
  std::vector<double> of_cluster(corpus.plan.size()), documents(corpus.plan.size());
  double total = 0, small = 0, large = 0, judged = 0;
  for (size_t d = 0; d < corpus.plan.size(); ++d) {
    of_cluster[corpus.plan[d].cluster] += static_cast<double>(corpus.plan[d].bytes);
    ++documents[corpus.plan[d].cluster];
    total += static_cast<double>(corpus.plan[d].bytes);
  }
  const double limit = std::max(rule.large_share * total, static_cast<double>(rule.large_bytes));
  std::array<double, 2> of_large{}, of_judged{};
  for (size_t d = 0; d < corpus.plan.size(); ++d) {
    const auto& document = corpus.plan[d];
    const auto bytes = static_cast<double>(document.bytes);
    const bool alone = documents[document.cluster] == 1;
    if (alone && bytes > limit) {
      large += bytes;
      for (size_t e = 0; e < 2; ++e) of_large[e] += corpus.profiles[d]->all(e);
    } else if (alone || of_cluster[document.cluster] <= rule.cluster_share * flywheel::data::kSearchShare * total) {
      small += bytes;
      if (document.elsewhere > 0.2) continue;
      judged += bytes;
      for (size_t e = 0; e < 2; ++e) of_judged[e] += corpus.profiles[d]->all(e);
    }
  }
  for (size_t e = 0; e < 2; ++e)
    corpus.truth[e] = (of_large[e] + (judged > 0 ? of_judged[e] / judged * small : 0)) / (large + small);
}

struct Held {
  int before = 0, now = 0, before_told = 0, now_told = 0, others_before = 0, others_now = 0;
  std::vector<double> before_half, now_half;
};

void measure_splits(const std::string& name, const char* kind, const std::function<Corpus(Rng&)>& draw) {
  constexpr int kTrials = 1000;
  std::array<Held, 2> held;
  std::vector<double> clusters, cut, blocks, largest;
  Rng rng(11);
  for (int trial = 0; trial < kTrials; ++trial) {
    Corpus corpus = draw(rng);
    std::vector<size_t> shift;
    for (size_t d = 0; d < corpus.plan.size(); ++d) {
      corpus.plan[d].digest = rng.next();
      shift.push_back(static_cast<size_t>(rng.below(corpus.profiles[d]->bytes)));
    }
    const auto& rule = flywheel::data::kSplitRules[0];
    set_truth(corpus, rule);
    const auto plan = flywheel::data::plan_splits(corpus.plan, rule, [](uint32_t, uint64_t at) { return at; });
    for (size_t e = 0; e < 2; ++e) {
      std::vector<flywheel::ScoredText> texts;
      std::vector<double> x, y;
      std::map<uint32_t, double> of_source;
      for (const auto& piece : plan.pieces) {
        if (piece.split != flywheel::protocol::Split::kAudit) continue;
        const bool block = piece.end - piece.begin < corpus.plan[piece.document].bytes;
        const double bits =
            corpus.profiles[piece.document]->bits(e, piece.begin, piece.end, block ? shift[piece.document] : 0);
        x.push_back(static_cast<double>(piece.end - piece.begin)), y.push_back(bits);
        texts.push_back({bits, x.back(), corpus.plan[piece.document].cluster, block});
        of_source[corpus.plan[piece.document].cluster] += x.back();
      }
      const double loss = sum(y) / sum(x), off = std::abs(loss - corpus.truth[e]);
      const double off_others = std::abs(loss - corpus.of_others[e]);
      const flywheel::SampledError now = flywheel::sampled_error(texts);
      const auto half = [](const auto& error) { return error ? error->half_width(0.9) : INFINITY; };
      const double before_half = half(flywheel::ratio_error(y, x)), now_half = half(now.error);
      Held& h = held[e];
      if (std::isfinite(before_half)) {
        ++h.before_told, h.before += off < before_half, h.others_before += off_others < before_half;
        h.before_half.push_back(before_half);
      }
      if (std::isfinite(now_half)) {
        ++h.now_told, h.now += off < now_half, h.others_now += off_others < now_half;
        h.now_half.push_back(now_half);
      }
      double most = 0;
      for (const auto& [source, bytes] : of_source) most = std::max(most, bytes);
      largest.push_back(most / sum(x));
      clusters.push_back(static_cast<double>(now.units.clusters));
      cut.push_back(static_cast<double>(now.units.cut_documents));
      blocks.push_back(static_cast<double>(now.units.blocks));
    }
  }
  for (size_t e = 0; e < 2; ++e) {
    const Held& h = held[e];
    const auto percent = [](int part, int of) { return of > 0 ? 100.0 * part / of : 0.0; };
    fmt::print(
        "{:<22} {:<18} {:<4} clusters {:>4.0f}  cut {:>2.0f} in {:>2.0f} blocks  before {:>5.1f}% of {:>5.1f}%  "
        "now {:>5.1f}% of {:>5.1f}%  half {:.4f} {:.4f}  largest {:.0f}%, in one of twenty {:.0f}%{}\n",
        name, kind, e == 0 ? "loss" : "pair", flywheel::median(clusters), flywheel::median(cut),
        flywheel::median(blocks), percent(h.before, h.before_told), percent(h.before_told, kTrials),
        percent(h.now, h.now_told), percent(h.now_told, kTrials),
        h.before_half.empty() ? 0.0 : flywheel::median(h.before_half),
        h.now_half.empty() ? 0.0 : flywheel::median(h.now_half), 100 * flywheel::median(largest),
        100 * flywheel::quantile(largest, 0.95),
        std::string(kind) == "as it is"
            ? ""
            : fmt::format("  of others: before {:>5.1f}% now {:>5.1f}%", percent(h.others_before, h.before_told),
                          percent(h.others_now, h.now_told)));
  }
}

void measure_splits(const std::string& name, const Texts& texts) {
  std::vector<Profile> files, books, small;
  flywheel::data::Sketcher sketcher;
  std::vector<flywheel::data::Sketch> sketches;
  std::vector<uint64_t> hashes;
  std::map<std::string, const std::string*> by_path;
  for (size_t i = 0; i < texts.scored.size(); ++i) {
    files.push_back(profile_of(texts.models, texts.scored[i]));
    if (files.back().bytes <= kSmallFile) small.push_back(files.back());
    by_path[texts.path[i]] = &texts.scored[i];
    sketcher.push(texts.scored[i]);
    sketches.push_back(sketcher.finish(hashes));
  }
  std::string book;
  for (const auto& [path, text] : by_path) {
    book += *text;
    if (book.size() < kBook) continue;
    books.push_back(profile_of(texts.models, book.substr(0, kBook)));
    book.clear();
  }
  const auto likeness = flywheel::data::near_duplicate_clusters(sketches, hashes);
  Corpus whole;
  for (uint32_t d = 0; d < files.size(); ++d) {
    whole.plan.push_back({0, files[d].bytes, likeness.cluster[d], likeness.elsewhere[d]});
    whole.profiles.push_back(&files[d]);
  }
  fmt::print("{}: {} documents, {} books of 1 MiB, {} small files\n", name, files.size(), books.size(), small.size());
  measure_splits(name, "as it is", [&](Rng&) { return whole; });
  if (books.size() < 3) return;
  std::array<double, 2> of_books{}, of_small{};
  double small_bytes = 0;
  for (size_t e = 0; e < 2; ++e) {
    for (const Profile& text : books) of_books[e] += text.all(e) / static_cast<double>(kBook * books.size());
    for (const Profile& text : small) of_small[e] += text.all(e);
  }
  for (const Profile& text : small) small_bytes += static_cast<double>(text.bytes);
  const auto drawn = [&](Rng& rng, size_t of_books_wanted, double small_wanted) {
    Corpus corpus;
    const auto add = [&](const Profile& text) {
      corpus.plan.push_back({0, text.bytes, static_cast<uint32_t>(corpus.plan.size()), 0});
      corpus.profiles.push_back(&text);
    };
    std::vector<size_t> order(books.size());
    std::iota(order.begin(), order.end(), size_t{0});
    for (size_t i = 0; i < of_books_wanted; ++i) {
      std::swap(order[i], order[i + static_cast<size_t>(rng.below(order.size() - i))]);
      add(books[order[i]]);
    }
    for (double bytes = 0; bytes < small_wanted; bytes += static_cast<double>(corpus.plan.back().bytes))
      add(small[static_cast<size_t>(rng.below(small.size()))]);
    const double share = small_wanted / (small_wanted + static_cast<double>(of_books_wanted * kBook));
    for (size_t e = 0; e < 2; ++e) corpus.of_others[e] = (1 - share) * of_books[e] + share * of_small[e] / small_bytes;
    return corpus;
  };
  measure_splits(name, "one book", [&](Rng& rng) { return drawn(rng, 1, 0); });
  measure_splits(name, "three books", [&](Rng& rng) { return drawn(rng, 3, 0); });
  measure_splits(name, "five books", [&](Rng& rng) { return drawn(rng, std::min<size_t>(5, books.size()), 0); });
  measure_splits(name, "one and small", [&](Rng& rng) { return drawn(rng, 1, kBook / 4.0); });
  measure_splits(name, "two and small", [&](Rng& rng) { return drawn(rng, 2, kBook * 2.0); });
}

}  // namespace

int main(int argc, char** argv) {
  const bool splits = argc > 1 && std::string(argv[1]) == "--splits";
  for (int i = splits ? 2 : 1; i < argc; ++i) {
    const Texts texts = texts_of(argv[i], splits ? kMostSplitBytes : kMostBytes);
    if (splits) {
      measure_splits(argv[i], texts);
      continue;
    }
    const Source source = source_of(texts);
    if (source.bytes.empty()) continue;
    fmt::print("{}: {} documents\n", argv[i], source.bytes.size());
    measure(argv[i], "made", source.bytes, {}, 2);
    measure(argv[i], "loss", source.bytes, source.loss, sum(source.loss) / sum(source.bytes));
    measure(argv[i], "pair", source.bytes, source.pair, sum(source.pair) / sum(source.bytes));
  }
}
