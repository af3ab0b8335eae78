#include "evidence/document_sums.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "base/rng.h"
#include "base/statistics.h"
#include "evidence/paired_runs.h"

namespace flywheel::evidence {
namespace {

// Documents of a source whose mean is 2 bits per byte: each has its own level, a twentieth as much varies within it,
// and a candidate is `gain` better by a part that differs from document to document.
struct Source {
  double between = 0.3, gain = 0.02, gain_spread = 0.01;
  int documents = 60;
};
struct Sample {
  DocumentSums base, candidate;
};
Sample sample(const Source& source, Rng& rng) {
  Sample result;
  for (int d = 0; d < source.documents; ++d) {
    const double bytes = 128.0 * static_cast<double>(1 + rng.below(20));
    const double level = 2 + source.between * rng.normal() + 0.05 * source.between * rng.normal();
    const double gain = source.gain + source.gain_spread * rng.normal();
    result.base.push_back({d, level * bytes, bytes});
    result.candidate.push_back({d, (level - gain) * bytes, bytes});
  }
  return result;
}

double bits_per_byte(const DocumentSums& sums) {
  double bits = 0, bytes = 0;
  for (const DocumentSum& sum : sums) bits += sum.bits, bytes += sum.bytes;
  return bits / bytes;
}

std::optional<ClusterError> pair_error(const DocumentSums& base, const DocumentSums& candidate) {
  return paired_sampling_error(std::vector<DocumentSums>{base}, std::vector<DocumentSums>{candidate});
}

TEST(SamplingError, IsTheDeviationOverSamplesOfDocuments) {
  Rng rng(1);
  std::vector<double> losses, differences, said, said_of_pairs;
  int inside = 0, pair_inside = 0;
  constexpr int kSamples = 2000;
  for (int i = 0; i < kSamples; ++i) {
    const Sample s = sample({}, rng);
    losses.push_back(bits_per_byte(s.base));
    differences.push_back(bits_per_byte(s.candidate) - losses.back());
    const ClusterError error = *sampling_error(s.base), of_pairs = *pair_error(s.base, s.candidate);
    said.push_back(error.sd);
    said_of_pairs.push_back(of_pairs.sd);
    inside += std::abs(losses.back() - 2) < error.half_width(0.9);
    pair_inside += std::abs(differences.back() + 0.02) < of_pairs.half_width(0.9);
  }
  EXPECT_NEAR(mean(said) / standard_deviation(losses), 1, 0.06);
  EXPECT_NEAR(mean(said_of_pairs) / standard_deviation(differences), 1, 0.06);
  EXPECT_NEAR(inside / static_cast<double>(kSamples), 0.9, 0.015);
  EXPECT_NEAR(pair_inside / static_cast<double>(kSamples), 0.9, 0.015);
  // Paired by document it is a small part of the level's.
  EXPECT_LT(mean(said_of_pairs), 0.05 * mean(said));
}

// Bytes taken for independent say far too little.
TEST(SamplingError, CountsDocumentsAndNotTheirParts) {
  Rng rng(2);
  const Sample s = sample({}, rng);
  DocumentSums parts;
  for (const DocumentSum& sum : s.base)
    for (int i = 0; i < static_cast<int>(sum.bytes / 128); ++i)
      parts.push_back({static_cast<int64_t>(parts.size()), sum.bits * 128 / sum.bytes, 128});
  EXPECT_GT(sampling_error(s.base)->sd, 2.5 * sampling_error(parts)->sd);
}

// Copies of one text and blocks of one document, in a difference as in a loss.
TEST(SamplingError, CountsWhatIsDrawnTogetherOnce) {
  Rng rng(3);
  const Sample one = sample({}, rng);
  Sample copies, blocks = one;
  for (const bool second : {false, true})
    for (size_t d = 0; d < one.base.size(); ++d)
      for (auto [from, to] : {std::pair{&one.base, &copies.base}, std::pair{&one.candidate, &copies.candidate}}) {
        to->push_back((*from)[d]);
        to->back().source = to->back().document;
        to->back().document += second ? 1000 : 0;
      }
  EXPECT_NEAR(sampling_error(copies.base)->sd, sampling_error(one.base)->sd, 1e-12);
  EXPECT_NEAR(pair_error(copies.base, copies.candidate)->sd, pair_error(one.base, one.candidate)->sd, 1e-12);
  for (DocumentSum& sum : copies.base) sum.source.reset();
  EXPECT_LT(sampling_error(copies.base)->sd, 0.75 * sampling_error(one.base)->sd);
  // All of one document: its blocks are what is drawn.
  for (DocumentSum& sum : blocks.base) sum.source = 7, sum.block = true;
  EXPECT_NEAR(sampling_error(blocks.base)->sd, sampling_error(one.base)->sd, 1e-12);
  for (DocumentSum& sum : blocks.base) sum.block = false;
  EXPECT_EQ(sampling_error(blocks.base)->degrees, 0);  // one cluster
}

TEST(SamplingError, IsNotSaidOfDifferentDocumentsAndCannotBeToldOfOne) {
  const DocumentSums one{{0, 200, 100}}, two{{0, 200, 100}, {1, 210, 100}}, others{{0, 200, 100}, {2, 210, 100}};
  EXPECT_FALSE(pair_error(two, others));
  EXPECT_FALSE(pair_error(two, one));
  EXPECT_FALSE(paired_sampling_error({}, {}));
  EXPECT_EQ(pair_error(two, two)->sd, 0);
  EXPECT_TRUE(std::isinf(sampling_error(one)->half_width(0.9)));
  EXPECT_TRUE(std::isinf(widened({1, 0.7, 1.3}, pair_error(one, one), 0.9).high));
}

TEST(SamplingError, WidensAnIntervalAsAnIndependentError) {
  const Interval interval = widened({1, 0.7, 1.3}, ClusterError{.sd = 0.4 / kNormal90}, 0.9);
  EXPECT_NEAR(interval.low, 0.5, 1e-12);
  EXPECT_NEAR(interval.high, 1.5, 1e-12);
  EXPECT_EQ(widened({1, 0.7, 1.3}, std::nullopt, 0.9).low, 0.7);
  EXPECT_NEAR(widened({1, 1, 1}, ClusterError{.sd = 0.1, .degrees = 3}, 0.95).high,
              1 + 0.1 * student_quantile(0.975, 3), 1e-12);
  EXPECT_EQ(widened({1, -INFINITY, 1.3}, ClusterError{.sd = 0.1}, 0.9).low, -INFINITY);
}

TEST(SamplingError, IsInTheIntervalOfARung) {
  std::vector<RungPairs> rungs{{1e10, {3, 3.01, 2.99}, {-0.02, -0.021, -0.019}},
                               {4e10, {2.7, 2.71, 2.69}, {-0.02, -0.021, -0.019}}};
  const Interval seeds = paired_effect(rungs).rungs[0].difference;
  for (RungPairs& rung : rungs) rung.sampling = ClusterError{.sd = 0.02};
  const RungEffect both = paired_effect(rungs).rungs[0];
  EXPECT_EQ(both.sampling->sd, 0.02);
  EXPECT_NEAR(both.difference.high - both.difference.value, std::hypot(seeds.high - seeds.value, kNormal90 * 0.02),
              1e-9);
  EXPECT_LT(both.multiplier.low, 1);
}

// At 90% an error of few degrees of freedom may be the narrower and at 95% the wider.
TEST(SamplingError, TheWiderOneIsThatOfTheLevelAsked) {
  const ClusterError few{.sd = 1, .degrees = 3}, many{.sd = 1.55};
  ASSERT_LT(few.half_width(0.9), many.half_width(0.9));
  ASSERT_GT(few.half_width(0.95), many.half_width(0.95));
  EXPECT_EQ(wider(few, many, 0.9)->sd, many.sd);
  EXPECT_EQ(wider(few, many, 0.95)->sd, few.sd);
  EXPECT_EQ(wider(few, std::nullopt, 0.95)->sd, few.sd);
}

// Pairs of two rungs, scored on two lists of one source: what a seed does to a model shows on both lists.
struct Lists {
  std::vector<RungPairs> one, other;
};
Lists two_lists(Rng& rng, double spread) {
  constexpr int kPairs = 4;
  const Source source{.gain_spread = spread, .documents = 40};
  Lists lists;
  std::array<Sample, 2> scored = {sample(source, rng), sample(source, rng)};
  for (int rung = 0; rung < 2; ++rung) {
    std::array<std::vector<DocumentSums>, 2> base, candidate;
    std::array<RungPairs, 2> pairs;
    for (int pair = 0; pair < kPairs; ++pair) {
      const double seed = 0.004 * rng.normal();
      for (size_t list = 0; list < 2; ++list) {
        DocumentSums of_candidate = scored[list].candidate;
        const double off = seed + 0.002 * rng.normal();
        for (DocumentSum& sum : of_candidate) sum.bits += off * sum.bytes;
        base[list].push_back(scored[list].base);
        candidate[list].push_back(of_candidate);
        pairs[list].base.push_back(bits_per_byte(scored[list].base));
        pairs[list].difference.push_back(bits_per_byte(of_candidate) - pairs[list].base.back());
      }
    }
    for (size_t list = 0; list < 2; ++list) {
      pairs[list].flops = rung == 0 ? 1 : 3;
      pairs[list].sampling = paired_sampling_error(base[list], candidate[list]);
    }
    lists.one.push_back(pairs[0]);
    lists.other.push_back(pairs[1]);
  }
  return lists;
}

TEST(ListsAgree, NineTimesInTenWhereBothAreOfOneSourceAndRarelyWhereTheyAreNot) {
  constexpr int kSamples = 500;
  for (const double spread : {0.01, 0.05}) {  // seeds are most of the error, and documents
    Rng rng(5);
    int agreed = 0, inside = 0, apart = 0;
    for (int i = 0; i < kSamples; ++i) {
      const Lists lists = two_lists(rng, spread);
      agreed += lists_agree(lists.one, lists.other).value() ? 1 : 0;
      bool within = true;  // the other's bare value within the interval of the one
      for (size_t r = 0; r < 2; ++r) {
        const Interval interval = widened(student90(lists.one[r].difference), lists.one[r].sampling, 0.9);
        const double value = mean(lists.other[r].difference);
        within = within && value >= interval.low && value <= interval.high;
      }
      inside += within ? 1 : 0;
      Lists moved = lists;
      for (RungPairs& rung : moved.other)
        for (double& difference : rung.difference) difference += 0.04;
      apart += lists_agree(moved.one, moved.other).value() ? 0 : 1;
    }
    // Not much above either: the half widths are added as if normal, and rungs share their documents.
    EXPECT_GE(agreed, 0.9 * kSamples) << spread;
    EXPECT_LE(agreed, 0.985 * kSamples) << spread;
    EXPECT_GT(apart, 0.8 * kSamples) << spread;
    if (spread > 0.01) {
      EXPECT_LT(inside, 0.85 * kSamples);  // one list's interval is too narrow for the difference of two
    }
    RecordProperty(fmt::format("spread_{}", spread),
                   fmt::format("agreed {}, bare value inside {}, apart {}", agreed, inside, apart));
  }
}

TEST(ListsAgree, CannotBeToldWithoutBothSamplingErrorsOrWithOnePair) {
  Rng rng(6);
  Lists lists = two_lists(rng, 0.05);
  ASSERT_TRUE(lists_agree(lists.one, lists.other).has_value());
  const auto sampling = lists.other[1].sampling;
  lists.other[1].sampling.reset();
  EXPECT_FALSE(lists_agree(lists.one, lists.other).has_value());
  lists.other[1].sampling = ClusterError{.sd = 0, .degrees = 0};
  EXPECT_FALSE(lists_agree(lists.one, lists.other).has_value());
  lists.other[1].sampling = sampling;
  for (auto* side : {&lists.one, &lists.other}) side->at(0).difference.resize(1);
  EXPECT_FALSE(lists_agree(lists.one, lists.other).has_value());
  for (auto* side : {&lists.one, &lists.other})  // a rung that only the base ran on
    side->at(0).difference.clear();
  EXPECT_TRUE(lists_agree(lists.one, lists.other).has_value());
}

}  // namespace
}  // namespace flywheel::evidence
