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
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/cluster_error.h"
#include "base/rng.h"
#include "base/statistics.h"

namespace {

using flywheel::Rng;

constexpr double kMostBytes = 4e7, kLargestFile = 3e6, kCutShare = 0.005, kCutBytes = 8192;
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
  // Bits of order 1 and of order 2.
  std::pair<double, double> bits(const std::string& text) const {
    double first = 0, second = 0;
    walk(text, [&](size_t pair, size_t last, size_t byte) {
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

Source source_of(const std::string& directory) {
  namespace fs = std::filesystem;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(directory, fs::directory_options::skip_permission_denied))
    if (entry.is_regular_file() && !entry.is_symlink()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  Rng rng(5);
  for (size_t i = paths.size(); i > 1; --i) std::swap(paths[i - 1], paths[rng.below(i)]);
  std::vector<std::string> texts;
  double total = 0;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.empty() || static_cast<double>(text.size()) > kLargestFile || text.find('\0') < kTextBytes) continue;
    total += static_cast<double>(text.size());
    texts.push_back(std::move(text));
    if (total > kMostBytes) break;
  }
  ByteModels models;
  for (size_t i = 0; i < texts.size(); i += 2) models.learn(texts[i]);
  Source source;
  for (size_t i = 1; i < texts.size(); i += 2) {
    const auto bytes = static_cast<double>(texts[i].size());
    if (bytes > std::max(kCutBytes, kCutShare * total)) continue;
    const auto [first, second] = models.bits(texts[i]);
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

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const Source source = source_of(argv[i]);
    if (source.bytes.empty()) continue;
    fmt::print("{}: {} documents\n", argv[i], source.bytes.size());
    measure(argv[i], "made", source.bytes, {}, 2);
    measure(argv[i], "loss", source.bytes, source.loss, sum(source.loss) / sum(source.bytes));
    measure(argv[i], "pair", source.bytes, source.pair, sum(source.pair) / sum(source.bytes));
  }
}
