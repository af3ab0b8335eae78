#include "engine/train/sample_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/cluster_error.h"

namespace flywheel::train {
namespace {

TEST(SampleLoss, IsOfTheWholeListAndOfEachDocument) {
  data::EvalSample sample;
  sample.segments = "abc";
  // Document 0 in two pieces, the second with its end; document 40.
  sample.pieces = {{.document = 0, .tokens = 2, .bytes = 2},
                   {.document = 0, .tokens = 2, .bytes = 1},
                   {.document = 40, .tokens = 1, .bytes = 1}};
  sample.tokens = 5;
  sample.bytes = 4;
  const std::vector<double> nats = {1, 2, 3, 0.5, 4};
  const SampleLoss loss = sample_loss(sample, nats);
  EXPECT_EQ(loss.segments, "abc");
  EXPECT_NEAR(loss.loss, 10.5 / 5, 1e-12);
  EXPECT_NEAR(loss.bits_per_byte, 10.5 / std::numbers::ln2 / 4, 1e-12);  // the end counts above the line only
  ASSERT_EQ(loss.documents.size(), 2u);
  EXPECT_EQ(loss.documents[0].begin, 0);
  EXPECT_EQ(loss.documents[0].tokens, 4);
  EXPECT_EQ(loss.documents[0].bytes, 3);
  EXPECT_NEAR(loss.documents[0].nats, 6.5, 1e-12);
  EXPECT_EQ(loss.documents[1].begin, 40);
  const auto error = ratio_error(std::vector{6.5, 4.0}, std::vector{3.0, 1.0});
  EXPECT_NEAR(loss.sampling->sd, error->sd / std::numbers::ln2, 1e-12);
}

TEST(SampleLoss, CountsWhatIsDrawnTogetherAsOne) {
  data::EvalSample sample;
  const auto piece = [&](int64_t begin, uint32_t source, uint32_t block) {
    sample.pieces.push_back({.document = begin,
                             .tokens = 1,
                             .bytes = 1,
                             .source = data::DocumentSource{static_cast<uint64_t>(begin), source, block}});
    ++sample.tokens, ++sample.bytes;
  };
  piece(0, 3, 0), piece(10, 8, 0), piece(20, 3, 0), piece(30, 5, 1), piece(40, 5, 1), piece(50, 5, 1), piece(60, 9, 0);
  const std::vector<double> nats = {1, 2, 4, 8, 9, 10, 3};
  const SampleLoss loss = sample_loss(sample, nats);
  EXPECT_EQ(loss.documents.size(), 7u);
  ASSERT_TRUE(loss.units);
  EXPECT_EQ(*loss.units, (SampledUnits{.clusters = 3, .cut_documents = 1, .blocks = 3}));
  for (data::ScoredPiece& each : sample.pieces) each.source.reset();  // as of a corpus that does not say it
  const SampleLoss each_for_itself = sample_loss(sample, nats);
  EXPECT_FALSE(each_for_itself.units);
  EXPECT_NEAR(each_for_itself.sampling->sd, ratio_error(nats, std::vector<double>(7, 1.0))->sd / std::numbers::ln2,
              1e-12);
}

}  // namespace
}  // namespace flywheel::train
