#include "engine/train/loaded_model.h"

#include <gtest/gtest.h>

#include "base/hash.h"

namespace flywheel::train {
namespace {

TEST(LoadedModel, ThreadsTakeSeveralShortSequencesAtOnceAndAsManyInEveryRun) {
  const auto at_once = [](int context, int batch, int threads) {
    recipe::Size size;
    size.context = context;
    size.batch_sequences = batch;
    return sequences_at_once(size, tensor::Dtype::kFloat32, threads);
  };
  EXPECT_EQ(at_once(64, 12, 2), 3);  // twice three, not four and two
  EXPECT_EQ(at_once(64, 12, 1), 4);
  EXPECT_EQ(at_once(128, 16, 1), 2);
  EXPECT_EQ(at_once(64, 3, 2), 2);
  EXPECT_EQ(at_once(64, 1, 2), 1);
  EXPECT_EQ(at_once(256, 16, 2), 1);
  EXPECT_EQ(at_once(1000, 16, 1), 1);
}

// Documents of 40 to 400 bytes.
std::vector<uint16_t> text() {
  std::vector<uint16_t> tokens;
  for (uint64_t i = 0; tokens.size() < 6000; ++i) {
    const auto length = 40 + mix64(i) % 360;
    for (uint64_t k = 0; k < length; ++k) tokens.push_back(static_cast<uint16_t>(mix64(i * 977 + k) % 256));
    tokens.push_back(data::kEndOfDocument);
  }
  return tokens;
}

SampleLoss loss_at(int context, int threads, bool reads, tensor::Dtype dtype) {
  recipe::Recipe recipe = recipe::apply_patches(recipe::Recipe(), {"model.head_dim=8", "model.ngram_embeddings=0"});
  recipe.model.context = context;
  recipe::Size size{.vocabulary = data::kVocabulary,
                    .layers = 2,
                    .width = 24,
                    .heads = 3,
                    .kv_heads = 3,
                    .feed_forward = 40,
                    .context = context,
                    .batch_sequences = 3};
  LoadedModel model(recipe, size, dtype, threads, LoadedModel::Purpose::kInference);
  model.initialise(3);
  // The head begins at 0 and would make all losses equal. Without `reads`, attention gives nothing to the stream.
  for (const model::ParameterInfo& parameter : model.program().parameters()) {
    const bool off = !reads && parameter.name.ends_with("attention.out");
    float* values = model.parameters().data() + parameter.offset;
    for (int64_t i = 0; i < parameter.shape.elements(); ++i)
      values[i] = off ? 0 : values[i] + 0.3f * (static_cast<float>(mix64(static_cast<uint64_t>(i)) % 2001) / 1000 - 1);
  }
  model.refresh();
  static const std::vector<uint16_t> tokens = text();
  const data::SegmentList list = data::evaluation_segments(static_cast<int64_t>(tokens.size()), "text", 2048);
  return model.evaluate(data::eval_sample(tokens, list, context));
}

constexpr tensor::Dtype kDtypes[] = {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16};

// The right value: a model that reads nothing but the byte before cannot tell one context from another.
TEST(LoadedModel, AModelThatReadsNoContextScoresTheSameAtAnyContext) {
  for (const tensor::Dtype dtype : kDtypes) {
    const SampleLoss expected = loss_at(128, 1, false, dtype);
    EXPECT_GT(expected.documents.size(), 5u);
    for (const int context : {16, 64, 96, 127, 129, 256, 512}) {
      const SampleLoss other = loss_at(context, 1 + context % 2, false, dtype);
      EXPECT_EQ(other.bits_per_byte, expected.bits_per_byte) << context;
      EXPECT_EQ(other.sampling->sd, expected.sampling->sd) << context;
      EXPECT_EQ(other.segments, expected.segments);
      EXPECT_EQ(other.bytes, expected.bytes);
    }
  }
}

TEST(LoadedModel, AModelThatReadsItsContextScoresTheSameBytes) {
  for (const tensor::Dtype dtype : kDtypes) {
    const SampleLoss at128 = loss_at(128, 1, true, dtype);
    EXPECT_EQ(loss_at(128, 2, true, dtype).bits_per_byte, at128.bits_per_byte);
    for (const int context : {32, 64, 129, 256}) {
      const SampleLoss other = loss_at(context, 1, true, dtype);
      EXPECT_NE(other.bits_per_byte, at128.bits_per_byte);
      EXPECT_EQ(other.bytes, at128.bytes);
      ASSERT_EQ(other.documents.size(), at128.documents.size());
      for (size_t i = 0; i < other.documents.size(); ++i) {
        EXPECT_EQ(other.documents[i].begin, at128.documents[i].begin);
        EXPECT_EQ(other.documents[i].bytes, at128.documents[i].bytes);
      }
    }
  }
}

}  // namespace
}  // namespace flywheel::train
