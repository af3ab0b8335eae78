#include "engine/data/split/near_duplicates.h"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <utility>

#include "base/hash.h"
#include "base/thread_pool.h"

namespace flywheel::data {
namespace {

constexpr size_t kAllPairs = 6;     // documents of a posting list of which every pair is a candidate
constexpr size_t kStepsAtOnce = 8;  // of a comparison, between looks at whether it is decided
constexpr size_t kNeighbours = 2;   // of a document in a longer one

struct Posting {
  uint64_t hash;
  uint32_t document;
};

class DisjointSets {
 public:
  explicit DisjointSets(size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0u); }
  uint32_t find(uint32_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  // The first stays the root.
  void join(uint32_t a, uint32_t b) {
    a = find(a), b = find(b);
    if (a != b) parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<uint32_t> parent_;
};

// A set of pairs of documents, open addressing.
class PairSet {
 public:
  // False when it was there.
  bool insert(uint32_t a, uint32_t b) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    return place(uint64_t{a} << 32 | b);
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  bool place(uint64_t key) {
    size_t slot = mix64(key) & (slots_.size() - 1);
    for (; slots_[slot] != kEmpty; slot = (slot + 1) & (slots_.size() - 1))
      if (slots_[slot] == key) return false;
    slots_[slot] = key;
    ++size_;
    return true;
  }
  void grow() {
    const std::vector<uint64_t> old = std::exchange(slots_, std::vector<uint64_t>(4 * slots_.size(), kEmpty));
    size_ = 0;
    for (const uint64_t key : old)
      if (key != kEmpty) place(key);
  }
  std::vector<uint64_t> slots_ = std::vector<uint64_t>(1 << 12, kEmpty);
  size_t size_ = 0;
};

struct Sketches {
  std::span<const Sketch> documents;
  std::span<const uint64_t> hashes;
  std::span<const uint64_t> of(uint32_t d) const { return hashes.subspan(documents[d].first, documents[d].count); }
};

// A bit for each kept shingle of a document, by its hash: from what two documents have in common there follows a bound
// on the shingles that they share, which spares most comparisons.
class Signatures {
 public:
  // None where documents have few shingles: comparing them takes no time, and bits would take more memory than hashes.
  explicit Signatures(const Sketches& sketches) {
    if (sketches.hashes.size() < kFewest * sketches.documents.size()) return;
    of_.resize(sketches.documents.size());
    for (uint32_t d = 0; d < of_.size(); ++d) {
      Signature& signature = of_[d];
      for (const uint64_t hash : sketches.of(d))
        signature.words[hash >> 20 & (kWords - 1)] |= 1ULL << (hash >> 26 & 63);
      signature.beyond = sketches.documents[d].count - ones(signature, signature);
    }
  }
  // At least as many as both have.
  size_t most_shared(uint32_t a, uint32_t b) const {
    return of_.empty() ? SIZE_MAX : ones(of_[a], of_[b]) + std::min(of_[a].beyond, of_[b].beyond);
  }
  void prefetch(uint32_t d) const {
    if (of_.empty()) return;
    for (size_t i = 0; i < kWords; i += 8) __builtin_prefetch(&of_[d].words[i]);
    __builtin_prefetch(&of_[d].beyond);
  }

 private:
  static constexpr size_t kWords = 32, kFewest = 64;
  struct Signature {
    uint64_t words[kWords] = {};
    uint64_t beyond = 0;  // shingles that have no bit of their own
  };
  // Bits of both, counted in bytes and then in 16 bits each.
  static uint64_t ones(const Signature& a, const Signature& b) {
    constexpr uint64_t kPairs = 0x5555555555555555, kFours = 0x3333333333333333, kEights = 0x0f0f0f0f0f0f0f0f,
                       kBytes = 0x00ff00ff00ff00ff;
    uint64_t counts = 0;
    for (size_t i = 0; i < kWords; ++i) {
      uint64_t word = a.words[i] & b.words[i];
      word -= word >> 1 & kPairs;
      word = (word & kFours) + (word >> 2 & kFours);
      word = (word + (word >> 4)) & kEights;
      counts += (word & kBytes) + (word >> 8 & kBytes);
    }
    return counts * 0x0001000100010001 >> 48;
  }
  std::vector<Signature> of_;
};

// Both are compared up to the lower of their bounds, where each has kept everything.
bool alike(const Sketches& sketches, const Signatures& signatures, PairSet& tried, uint32_t a, uint32_t b,
           const Similarity& similarity) {
  const uint64_t bound = shingle_bound(std::max(sketches.documents[a].shift, sketches.documents[b].shift));
  const auto below = [&](uint32_t d) {
    const auto of = sketches.of(d);
    return sketches.documents[d].shift == std::max(sketches.documents[a].shift, sketches.documents[b].shift)
               ? of
               : of.first(static_cast<size_t>(std::upper_bound(of.begin(), of.end(), bound) - of.begin()));
  };
  const auto of_a = below(a), of_b = below(b);
  const size_t smaller = std::min(of_a.size(), of_b.size());
  const size_t needed = std::max(static_cast<size_t>(similarity.fewest),
                                 static_cast<size_t>(similarity.share * static_cast<double>(smaller) + 0.999));
  if (signatures.most_shared(a, b) < needed || !tried.insert(a, b)) return false;
  for (size_t i = 0, j = 0, shared = 0; shared < needed;) {
    const size_t left = std::min(of_a.size() - i, of_b.size() - j);
    if (shared + left < needed) return false;
    for (size_t steps = std::min(left, kStepsAtOnce); steps > 0; --steps) {
      const uint64_t x = of_a[i], y = of_b[j];
      shared += x == y;
      i += x <= y;
      j += y <= x;
    }
  }
  return true;
}

constexpr int kBucketBits = 11;
constexpr size_t kBuckets = size_t{1} << kBucketBits;
// Below the bits that the lowest hashes have in common.
size_t bucket_of(uint64_t hash) {
  return hash >> (56 - kBucketBits) & (kBuckets - 1);
}
size_t digit_of(uint64_t hash) {
  return hash >> (56 - 2 * kBucketBits) & (kBuckets - 1);
}

// The posting lists of one thread: those of its buckets of hashes, each sorted while it is in the cache.
class Postings {
 public:
  // `taken(document)`: whether its shingles count.
  template <typename Taken>
  void gather(const Sketches& sketches, size_t part, size_t parts, Taken&& taken) {
    const auto of_this_part = [&](size_t bucket) { return bucket * parts >> kBucketBits == part; };
    const auto for_each = [&](auto&& visit) {
      for (uint32_t d = 0; d < sketches.documents.size(); ++d)
        if (taken(d))
          for (const uint64_t hash : sketches.of(d))
            if (const size_t bucket = bucket_of(hash); of_this_part(bucket)) visit(bucket, Posting{hash, d});
    };
    ends_.assign(kBuckets + 1, 0);
    for_each([&](size_t bucket, const Posting&) { ++ends_[bucket + 1]; });
    for (size_t bucket = 0; bucket < kBuckets; ++bucket) ends_[bucket + 1] += ends_[bucket];
    postings_ = std::make_unique_for_overwrite<Posting[]>(ends_[kBuckets]);
    // Begins become ends.
    for_each([&](size_t bucket, const Posting& posting) { postings_[ends_[bucket]++] = posting; });
  }

  // Calls visit(list) of every list of two or more, and keeps no others.
  template <typename Visit>
  void sort(Visit&& visit) {
    std::vector<Posting> sorted;
    for (size_t bucket = 0, begin = 0; bucket < kBuckets; begin = ends_[bucket++]) {
      const std::span<const Posting> of_bucket(postings_.get() + begin, ends_[bucket] - begin);
      sort_bucket(of_bucket, sorted);
      for_each_list(std::span(sorted), [&](std::span<Posting> list) {
        if (list.size() < 2) return;
        std::copy(list.begin(), list.end(), postings_.get() + kept_);
        visit(std::span(postings_.get() + kept_, list.size()));
        kept_ += list.size();
      });
    }
  }
  std::span<Posting> kept() const { return {postings_.get(), kept_}; }

  template <typename Visit>
  static void for_each_list(std::span<Posting> postings, Visit&& visit) {
    for (size_t begin = 0, end; begin < postings.size(); begin = end) {
      for (end = begin + 1; end < postings.size() && postings[end].hash == postings[begin].hash;) ++end;
      visit(postings.subspan(begin, end - begin));
    }
  }

 private:
  static void sort_bucket(std::span<const Posting> bucket, std::vector<Posting>& sorted) {
    std::array<uint32_t, kBuckets + 1> ends{};
    for (const Posting& posting : bucket) ++ends[digit_of(posting.hash) + 1];
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    sorted.resize(bucket.size());
    for (const Posting& posting : bucket) sorted[ends[digit_of(posting.hash)]++] = posting;
    for (size_t digit = 0, begin = 0; digit < kBuckets; begin = ends[digit++])
      if (ends[digit] - begin > 1)
        std::sort(sorted.begin() + static_cast<std::ptrdiff_t>(begin), sorted.begin() + ends[digit],
                  [](const Posting& a, const Posting& b) {
                    return a.hash != b.hash ? a.hash < b.hash : a.document < b.document;
                  });
  }

  std::unique_ptr<Posting[]> postings_;
  std::vector<size_t> ends_;  // of the buckets
  size_t kept_ = 0;
};

// One thread's search for pairs that are alike.
class Search {
 public:
  Search(const Sketches& sketches, const Signatures& signatures, const Similarity& similarity, const DisjointSets& sets)
      : sketches_(sketches), signatures_(signatures), similarity_(similarity), sets_(sets) {}

  void look_at(std::span<Posting> list) {
    if (list.size() > kAllPairs) {
      // Near-duplicates probably share their lowest hash: they become neighbours.
      std::sort(list.begin(), list.end(), [&](const Posting& a, const Posting& b) {
        const uint64_t of_a = sketches_.of(a.document).front(), of_b = sketches_.of(b.document).front();
        return of_a != of_b ? of_a < of_b : a.document < b.document;
      });
    }
    const size_t reach = list.size() <= kAllPairs ? kAllPairs : kNeighbours;
    for (size_t i = 0; i < list.size(); ++i)
      for (size_t j = i + 1; j < std::min(list.size(), i + 1 + reach); ++j) {
        const auto [a, b] = std::minmax(list[i].document, list[j].document);
        if (sets_.find(a) == sets_.find(b)) continue;
        signatures_.prefetch(a);
        signatures_.prefetch(b);
        waiting_[waiting_for_++] = {a, b};
        if (waiting_for_ == waiting_.size()) finish();
      }
  }
  // Many together, because most of the time memory is waited for.
  void finish() {
    for (const auto& [a, b] : std::span(waiting_).first(std::exchange(waiting_for_, 0)))
      if (sets_.find(a) != sets_.find(b) && alike(sketches_, signatures_, tried_, a, b, similarity_)) sets_.join(a, b);
  }
  DisjointSets& sets() { return sets_; }

 private:
  const Sketches& sketches_;
  const Signatures& signatures_;
  const Similarity& similarity_;
  DisjointSets sets_;
  PairSet tried_;
  std::array<std::pair<uint32_t, uint32_t>, 16> waiting_;
  size_t waiting_for_ = 0;
};

void join_equal_texts(std::span<const Sketch> documents, DisjointSets& sets) {
  std::vector<Posting> texts;
  for (uint32_t d = 0; d < documents.size(); ++d) texts.push_back({documents[d].text_hash, d});
  std::sort(texts.begin(), texts.end(), [](const Posting& a, const Posting& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.document < b.document;
  });
  for (size_t i = 1; i < texts.size(); ++i)
    if (texts[i].hash == texts[i - 1].hash) sets.join(texts[i - 1].document, texts[i].document);
}

}  // namespace

Clusters near_duplicate_clusters(std::span<const Sketch> documents, std::span<const uint64_t> hashes, int threads,
                                 const Similarity& similarity) {
  const Sketches sketches{documents, hashes};
  DisjointSets sets(documents.size());
  join_equal_texts(documents, sets);
  DisjointSets equal = sets;
  const Signatures signatures(sketches);
  const auto team = static_cast<size_t>(std::max(1, threads));
  std::vector<Postings> parts(team);
  std::vector<Search> searches(team, Search(sketches, signatures, similarity, sets));
  ThreadPool pool(static_cast<int>(team));
  pool.run([&](int thread) {
    const auto t = static_cast<size_t>(thread);
    Search& search = searches[t];
    // Of equal texts one is looked at.
    parts[t].gather(sketches, t, team, [&](uint32_t d) { return search.sets().find(d) == d; });
    parts[t].sort([&](std::span<Posting> list) { search.look_at(list); });
    search.finish();
  });
  for (Search& search : searches)
    for (uint32_t d = 0; d < documents.size(); ++d) sets.join(d, search.sets().find(d));

  Clusters result{.cluster = std::vector<uint32_t>(documents.size()),
                  .equal = std::vector<uint32_t>(documents.size()),
                  .elsewhere = std::vector<float>(documents.size(), 0)};
  for (uint32_t d = 0; d < documents.size(); ++d) {
    result.cluster[d] = sets.find(d);
    result.equal[d] = equal.find(d);
  }
  std::vector<uint32_t> shared(documents.size(), 0);
  for (const Postings& part : parts)
    Postings::for_each_list(part.kept(), [&](std::span<Posting> list) {
      const uint32_t first = result.cluster[list.front().document];
      if (std::all_of(list.begin(), list.end(), [&](const Posting& p) { return result.cluster[p.document] == first; }))
        return;
      for (const Posting& p : list) ++shared[p.document];
    });
  for (uint32_t d = 0; d < documents.size(); ++d)
    if (documents[d].count > 0)
      result.elsewhere[d] = static_cast<float>(shared[equal.find(d)]) / static_cast<float>(documents[d].count);
  return result;
}

}  // namespace flywheel::data
