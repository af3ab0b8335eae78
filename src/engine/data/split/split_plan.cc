// Clusters are taken for evaluation in a random order that their texts decide, those first of which little stands in
// other clusters. Large documents are laid end to end; every period of that line holds one block for each of the three
// evaluation splits, so that the blocks of a split come from all over the text and a block is as long as it can be.
#include "engine/data/split/split_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/hash.h"
#include "engine/data/split/sketch.h"

namespace flywheel::data {
namespace {

using protocol::Split;

constexpr Split kJudging[] = {Split::kSearch, Split::kAudit, Split::kLocked};
constexpr double kShares[] = {kSearchShare, kAuditShare, kLockedShare};
constexpr double kJudgedShare = kSearchShare + kAuditShare + kLockedShare;
constexpr double kMostOfUsable = 0.5;  // of what can be judged by, where clusters that are only trained on leave little
// Shares of a cluster that stand elsewhere, up to which it is judged by: the next is used where the one before it does
// not hold enough.
constexpr double kElsewhere[] = {0.2, 0.5, 1.0};
constexpr double kFewestPeriods = 24, kMostPeriods = 64, kPeriodBytes = 1 << 20;
constexpr double kLeastBlockBytes = 1024;  // of the smallest split: a smaller text has fewer periods
constexpr uint64_t kLeastGapBytes = 256, kMostGapBytes = 4096, kLeastPieceBytes = 256;

struct Cluster {
  uint32_t first = 0;  // document
  uint64_t order = 0;
  uint64_t bytes = 0;
  uint32_t documents = 0;
  double elsewhere = 0;  // share of its bytes
};

std::vector<Cluster> clusters_of(std::span<const PlanDocument> documents) {
  std::vector<uint32_t> place(documents.size());
  std::vector<Cluster> clusters;
  for (uint32_t d = 0; d < documents.size(); ++d) {
    const PlanDocument& document = documents[d];
    if (document.cluster == d) {
      place[d] = static_cast<uint32_t>(clusters.size());
      clusters.push_back({.first = d, .order = mix64(document.digest)});
    }
    Cluster& cluster = clusters[place[document.cluster]];
    cluster.bytes += document.bytes;
    ++cluster.documents;
    cluster.elsewhere += static_cast<double>(document.elsewhere) * static_cast<double>(document.bytes);
  }
  for (Cluster& cluster : clusters) cluster.elsewhere /= std::max(1.0, static_cast<double>(cluster.bytes));
  std::sort(clusters.begin(), clusters.end(), [](const Cluster& a, const Cluster& b) {
    return a.order != b.order ? a.order < b.order : a.first < b.first;
  });
  return clusters;
}

class Planner {
 public:
  Planner(std::span<const PlanDocument> documents, const SplitRule& rule,
          const std::function<uint64_t(uint32_t, uint64_t)>& snap)
      : documents_(documents), snap_(snap), split_of_(documents.size(), Split::kTrain), cut_(documents.size(), false) {
    double total = 0;
    for (const PlanDocument& document : documents) total += static_cast<double>(document.bytes);
    cluster_share_ = rule.cluster_share;
    large_ = std::max(rule.large_share * total, static_cast<double>(rule.large_bytes));
    total_ = total;
  }

  SplitPlan run() {
    std::vector<Cluster> small, large;
    double small_bytes = 0, large_bytes = 0;
    for (const Cluster& cluster : clusters_of(documents_)) {
      const auto bytes = static_cast<double>(cluster.bytes);
      plan_.clustered += cluster.documents - 1;
      if (static_cast<int64_t>(cluster.bytes) > plan_.largest_cluster_bytes) {
        plan_.largest_cluster_bytes = static_cast<int64_t>(cluster.bytes);
        plan_.largest_cluster_documents = cluster.documents;
      }
      // A cluster cannot be cut; one that is no large part of a split is judged by.
      if (cluster.documents > 1 ? bytes <= cluster_share_ * kSearchShare * total_ : bytes <= large_) {
        small.push_back(cluster);
        small_bytes += bytes;
      } else if (cluster.documents == 1) {
        large.push_back(cluster);
        large_bytes += bytes;
        cut_[cluster.first] = true;
      } else {
        plan_.train_only_bytes += static_cast<int64_t>(cluster.bytes);
      }
    }
    // Of what can be judged by, so much that the splits have their share of the whole.
    const double judged = std::min(kMostOfUsable, kJudgedShare * total_ / std::max(1.0, small_bytes + large_bytes));
    judge_by_clusters(small, judged / kJudgedShare * small_bytes);
    place_blocks(large, judged / kJudgedShare, large_bytes);
    collect();
    return std::move(plan_);
  }

 private:
  // `whole`: the bytes of which the splits get their shares.
  void judge_by_clusters(const std::vector<Cluster>& clusters, double whole) {
    std::vector<Split> of_cluster(documents_.size(), Split::kTrain);
    std::array<double, 3> bytes{};
    const auto may_hold = [&](size_t split, const Cluster& cluster) {
      const double wanted = kShares[split] * whole, of_it = static_cast<double>(cluster.bytes);
      return bytes[split] + of_it <= 1.25 * wanted && (cluster.documents == 1 || of_it <= cluster_share_ * wanted);
    };
    const auto lacks = [&](size_t split) { return bytes[split] < kShares[split] * whole; };
    double least = 0;
    for (const double most : kElsewhere) {
      if (!lacks(0) && !lacks(1) && !lacks(2)) break;
      for (const Cluster& cluster : clusters) {
        if (cluster.elsewhere > most || (least > 0 && cluster.elsewhere <= least)) continue;
        // To the split that lacks the largest part of its share, and not far beyond it.
        size_t split = 0;
        for (size_t s = 1; s < 3; ++s)
          if (bytes[s] / kShares[s] < bytes[split] / kShares[split]) split = s;
        if (!lacks(split)) break;
        if (!may_hold(split, cluster)) continue;
        bytes[split] += static_cast<double>(cluster.bytes);
        of_cluster[cluster.first] = kJudging[split];
      }
      least = most;
    }
    for (uint32_t d = 0; d < documents_.size(); ++d) split_of_[d] = of_cluster[documents_[d].cluster];
    // What no order of the clusters would have judged by: beyond the limit that was used, or too large for any split.
    bytes = {};
    for (const Cluster& cluster : clusters)
      if (cluster.elsewhere > least || (!may_hold(0, cluster) && !may_hold(1, cluster) && !may_hold(2, cluster)))
        plan_.train_only_bytes += static_cast<int64_t>(cluster.bytes);
  }

  // A block on the line of large documents, with its gaps.
  struct Block {
    double begin, end;
    Split split;
  };

  void place_blocks(const std::vector<Cluster>& large, double share, double line_bytes) {
    if (large.empty()) return;
    const double most = std::max(1.0, share * kLockedShare * line_bytes / kLeastBlockBytes);
    const double periods =
        std::floor(std::min(most, std::clamp(line_bytes / kPeriodBytes, kFewestPeriods, kMostPeriods)));
    const double period = line_bytes / periods;
    std::vector<Block> blocks;
    for (int p = 0; p < static_cast<int>(periods); ++p)
      for (int slot = 0; slot < 3; ++slot) {
        // The splits change places from period to period.
        const auto s = static_cast<size_t>((slot + p) % 3);
        const double centre = period * (p + (2 * slot + 1) / 6.0), half = 0.5 * share * kShares[s] * period;
        blocks.push_back({centre - half, centre + half, kJudging[s]});
      }
    const auto gap =
        std::clamp(static_cast<uint64_t>(share * kLockedShare * period / 3), kLeastGapBytes, kMostGapBytes);
    double begin = 0;
    auto block = blocks.begin();
    for (const Cluster& cluster : large) {
      const double end = begin + static_cast<double>(cluster.bytes);
      while (block != blocks.end() && block->end <= begin) ++block;
      std::vector<Block> of_document;
      for (auto b = block; b != blocks.end() && b->begin < end; ++b)
        of_document.push_back({std::max(0.0, b->begin - begin), std::min(end, b->end) - begin, b->split});
      cut_document(cluster.first, of_document, gap);
      begin = end;
    }
  }

  void cut_document(uint32_t document, const std::vector<Block>& blocks, uint64_t gap) {
    const uint64_t bytes = documents_[document].bytes;
    const auto at = [&](uint64_t position) {
      return position == 0 || position >= bytes ? std::min(position, bytes)
                                                : std::min(bytes, snap_(document, position));
    };
    uint64_t trained = 0, kept = 0;
    bool judged = false;
    const auto add = [&](uint64_t begin, uint64_t end, Split split) {
      if (end < begin + kLeastPieceBytes) return false;
      pieces_.push_back({document, begin, end, split});
      kept += end - begin;
      return true;
    };
    for (const Block& block : blocks) {
      const uint64_t begin = at(static_cast<uint64_t>(block.begin)), end = at(static_cast<uint64_t>(block.end));
      if (end < begin + kLeastPieceBytes) continue;
      add(trained, at(begin - std::min(begin, gap + kMostSnapBytes)), Split::kTrain);
      judged |= add(begin, end, block.split);
      trained = at(end + gap);
    }
    add(trained, bytes, Split::kTrain);
    if (!judged) return;  // no block fell into it: it is whole
    ++plan_.cut_documents;
    plan_.cut_bytes += static_cast<int64_t>(bytes);
    plan_.gap_bytes += static_cast<int64_t>(bytes - kept);
  }

  void collect() {
    for (uint32_t d = 0; d < documents_.size(); ++d)
      if (!cut_[d]) pieces_.push_back({d, 0, documents_[d].bytes, split_of_[d]});
    std::sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) {
      return a.document != b.document ? a.document < b.document : a.begin < b.begin;
    });
    for (Piece& piece : pieces_) {
      piece.cluster = documents_[piece.document].cluster;
      piece.block = cut_[piece.document];
    }
    plan_.pieces = std::move(pieces_);
  }

  std::span<const PlanDocument> documents_;
  const std::function<uint64_t(uint32_t, uint64_t)>& snap_;
  double large_ = 0, cluster_share_ = 1, total_ = 0;
  std::vector<Split> split_of_;
  std::vector<bool> cut_;
  std::vector<Piece> pieces_;
  SplitPlan plan_;
};

}  // namespace

std::string split_rule_text() {
  return fmt::format(
      "rule {}: clusters of near-duplicates stay on one side ({}-byte shingles, MinHash, half of the smaller "
      "document); "
      "{:g}% search, {:g}% audit, {:g}% locked, by hash of the cluster; documents large beside the corpus are cut into "
      "contiguous blocks with gaps",
      kSplitRuleVersion, kShingleBytes, 100 * kSearchShare, 100 * kAuditShare, 100 * kLockedShare);
}

SplitPlan plan_splits(std::span<const PlanDocument> documents, const SplitRule& rule,
                      const std::function<uint64_t(uint32_t, uint64_t)>& snap) {
  return Planner(documents, rule, snap).run();
}

}  // namespace flywheel::data
