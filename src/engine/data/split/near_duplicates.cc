#include "engine/data/split/near_duplicates.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "base/hash.h"
#include "base/thread_pool.h"

namespace flywheel::data {
namespace {

constexpr size_t kAllPairs = 6;    // documents of a posting list of which every pair is a candidate
constexpr size_t kNeighbours = 2;  // of a document in a longer one

struct Posting {
  uint64_t hash;
  uint32_t document;
};

// Least significant digits first, of the upper 33 bits; postings of a hash stay in the order of their documents.
void sort_by_hash(std::vector<Posting>& postings) {
  constexpr int kDigitBits = 11, kFirstBit = 64 - 3 * kDigitBits;
  std::vector<Posting> other(postings.size());
  for (int bit = kFirstBit; bit < 64; bit += kDigitBits) {
    std::array<uint32_t, 1 << kDigitBits> begins{};
    const auto digit = [bit](const Posting& p) { return p.hash >> bit & ((1 << kDigitBits) - 1); };
    for (const Posting& p : postings) ++begins[digit(p)];
    uint32_t sum = 0;
    for (uint32_t& begin : begins) sum += std::exchange(begin, sum);
    for (const Posting& p : postings) other[begins[digit(p)]++] = p;
    postings.swap(other);
  }
  // The few that differ in lower bits only.
  for (size_t begin = 0, end; begin < postings.size(); begin = end) {
    for (end = begin + 1;
         end < postings.size() && postings[end].hash >> kFirstBit == postings[begin].hash >> kFirstBit;)
      ++end;
    std::stable_sort(postings.begin() + static_cast<std::ptrdiff_t>(begin),
                     postings.begin() + static_cast<std::ptrdiff_t>(end),
                     [](const Posting& a, const Posting& b) { return a.hash < b.hash; });
  }
}

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

// Both are compared up to the lower of their bounds, where each has kept everything.
bool alike(const Sketches& sketches, uint32_t a, uint32_t b, const Similarity& similarity) {
  const uint64_t bound = shingle_bound(std::max(sketches.documents[a].shift, sketches.documents[b].shift));
  const auto below = [&](uint32_t d) {
    const auto of = sketches.of(d);
    return of.first(static_cast<size_t>(std::upper_bound(of.begin(), of.end(), bound) - of.begin()));
  };
  const auto of_a = below(a), of_b = below(b);
  const size_t smaller = std::min(of_a.size(), of_b.size());
  const size_t needed = std::max(static_cast<size_t>(similarity.fewest),
                                 static_cast<size_t>(similarity.share * static_cast<double>(smaller) + 0.999));
  size_t i = 0, j = 0, shared = 0;
  while (i < of_a.size() && j < of_b.size() && shared < needed) {
    if (shared + std::min(of_a.size() - i, of_b.size() - j) < needed) return false;
    const uint64_t x = of_a[i], y = of_b[j];
    shared += x == y;
    i += x <= y;
    j += y <= x;
  }
  return shared >= needed;
}

// One thread's part of the posting lists.
class Part {
 public:
  Part(const Sketches& sketches, const Similarity& similarity, const DisjointSets& sets)
      : sketches_(sketches), similarity_(similarity), sets_(sets) {}

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
      for (size_t j = i + 1; j < std::min(list.size(), i + 1 + reach); ++j)
        try_pair(list[i].document, list[j].document);
  }
  DisjointSets& sets() { return sets_; }

 private:
  void try_pair(uint32_t a, uint32_t b) {
    if (sets_.find(a) == sets_.find(b)) return;
    if (a > b) std::swap(a, b);
    if (tried_.insert(a, b) && alike(sketches_, a, b, similarity_)) sets_.join(a, b);
  }

  const Sketches& sketches_;
  const Similarity& similarity_;
  DisjointSets sets_;
  PairSet tried_;
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

template <typename Visit>
void for_each_list(std::span<Posting> postings, Visit&& visit) {
  for (size_t begin = 0, end; begin < postings.size(); begin = end) {
    for (end = begin + 1; end < postings.size() && postings[end].hash == postings[begin].hash;) ++end;
    visit(postings.subspan(begin, end - begin));
  }
}

}  // namespace

Clusters near_duplicate_clusters(std::span<const Sketch> documents, std::span<const uint64_t> hashes, int threads,
                                 const Similarity& similarity) {
  const Sketches sketches{documents, hashes};
  DisjointSets sets(documents.size());
  join_equal_texts(documents, sets);
  DisjointSets equal = sets;
  const auto team = static_cast<size_t>(std::max(1, threads));
  std::vector<std::vector<Posting>> parts(team);
  std::vector<Part> searches(team, Part(sketches, similarity, sets));
  ThreadPool pool(static_cast<int>(team));
  pool.run([&](int thread) {
    const auto t = static_cast<size_t>(thread);
    for (uint32_t d = 0; d < documents.size(); ++d) {
      if (DisjointSets& own = searches[t].sets(); own.find(d) != d) continue;  // of equal texts one is looked at
      for (const uint64_t hash : sketches.of(d))
        if ((hash >> 8) % team == t) parts[t].push_back({hash, d});
    }
    sort_by_hash(parts[t]);
    for_each_list(parts[t], [&](std::span<Posting> list) {
      if (list.size() > 1) searches[t].look_at(list);
    });
  });
  for (Part& search : searches)
    for (uint32_t d = 0; d < documents.size(); ++d) sets.join(d, search.sets().find(d));

  Clusters result{.cluster = std::vector<uint32_t>(documents.size()),
                  .equal = std::vector<uint32_t>(documents.size()),
                  .elsewhere = std::vector<float>(documents.size(), 0)};
  for (uint32_t d = 0; d < documents.size(); ++d) {
    result.cluster[d] = sets.find(d);
    result.equal[d] = equal.find(d);
  }
  std::vector<uint32_t> shared(documents.size(), 0);
  for (auto& part : parts)
    for_each_list(std::span(part), [&](std::span<Posting> list) {
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
