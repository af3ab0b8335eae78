// Attention one token at a time against the reference of the whole sequence.
#include "engine/kernels/attention_cached.h"

#include "engine/kernels/attention.h"
#include "engine/kernels/reference/kernel_testing.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels {
namespace {

constexpr int64_t kCachedTokens = 23;

// Everything a score can go through, by bits: window, soft-cap, ALiBi, sinks.
CachedAttentionShape shape_of(int options, int heads, int kv_heads, int head_dim, const float* sinks) {
  return {.heads = heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .scale = 0.4f,
          .window = options & 1 ? 5 : 0,
          .softcap = options & 2 ? 1.5f : 0.0f,
          .alibi = (options & 4) != 0,
          .sinks = options & 8 ? sinks : nullptr};
}

GuardedBuffer expected_of(const CachedAttentionShape& s, tensor::Dtype dtype, GuardedBuffer& qkv) {
  const AttentionShape whole{.tokens = kCachedTokens,
                             .heads = s.heads,
                             .kv_heads = s.kv_heads,
                             .head_dim = s.head_dim,
                             .qkv_stride = int64_t{s.heads + 2 * s.kv_heads} * s.head_dim,
                             .out_stride = int64_t{s.heads} * s.head_dim,
                             .scale = s.scale,
                             .window = s.window,
                             .softcap = s.softcap,
                             .alibi = s.alibi,
                             .sinks = s.sinks};
  GuardedBuffer out(kCachedTokens * whole.out_stride, dtype),
      log_sum_exp(kCachedTokens * s.heads, tensor::Dtype::kFloat32);
  reference::attention_forward(whole, dtype, qkv.data(), out.data(), log_sum_exp.floats());
  return out;
}

TEST(AttentionCached, GivesTheRowsOfTheWholeSequence) {
  for (tensor::Dtype dtype : kBothDtypes) {
    for (int options = 0; options < 16; ++options) {
      SCOPED_TRACE(testing::Message() << "options " << options);
      const int heads = 6, kv_heads = 2, head_dim = 5;
      const int64_t row = (heads + 2 * kv_heads) * head_dim, out_row = heads * head_dim, cached = kv_heads * head_dim;
      GuardedBuffer sinks(heads, tensor::Dtype::kFloat32), qkv(kCachedTokens * row, dtype),
          out(kCachedTokens * out_row, dtype);
      GuardedBuffer keys(kCachedTokens * cached, dtype), values(keys.size(), dtype),
          scores(kCachedTokens, tensor::Dtype::kFloat32);
      const CachedAttentionShape s = shape_of(options, heads, kv_heads, head_dim, sinks.randomise(4).floats());
      qkv.randomise(5);
      for (int64_t t = 0; t < kCachedTokens; ++t) {
        attention_cached(s, dtype, element_address(qkv.data(), dtype, t * row), keys.data(), values.data(), t,
                         element_address(out.data(), dtype, t * out_row), scores.floats());
      }
      expect_close(out, expected_of(s, dtype, qkv), tolerance(dtype), "out");
      EXPECT_TRUE(keys.guards_intact() && values.guards_intact() && scores.guards_intact());
    }
  }
}

TEST(LatentAttentionCached, IsAttentionOverTheExpandedKeysAndValues) {
  for (tensor::Dtype dtype : kBothDtypes) {
    for (int rotary : {0, 2}) {
      for (int options = 0; options < 16; ++options) {
        SCOPED_TRACE(testing::Message() << "rotary " << rotary << ", options " << options);
        const int heads = 3, head_dim = 6, latent = 7, content = head_dim - rotary;
        const int64_t width = heads * head_dim;
        GuardedBuffer sinks(heads, tensor::Dtype::kFloat32), query(kCachedTokens * width, dtype),
            own(kCachedTokens * latent, dtype), rotary_key(kCachedTokens * rotary, dtype),
            up((heads * content + width) * latent, tensor::Dtype::kFloat32);
        sinks.randomise(1);
        query.randomise(2);
        own.randomise(3);
        rotary_key.randomise(4);
        up.randomise(5, 0.4);
        const CachedAttentionShape s = shape_of(options, heads, heads, head_dim, sinks.floats());
        GuardedBuffer qkv(kCachedTokens * 3 * width, dtype);
        for (int64_t t = 0; t < kCachedTokens; ++t) {
          const auto expanded = [&](int64_t up_row) {
            float sum = 0;
            for (int64_t l = 0; l < latent; ++l) sum += up[up_row * latent + l] * own[t * latent + l];
            return sum;
          };
          for (int64_t i = 0; i < width; ++i) {
            const int64_t head = i / head_dim, place = i % head_dim - rotary;
            qkv.set(t * 3 * width + i, query[t * width + i]);
            qkv.set((t * 3 + 1) * width + i,
                    place < 0 ? rotary_key[t * rotary + place + rotary] : expanded(head * content + place));
            qkv.set((t * 3 + 2) * width + i, expanded(heads * content + i));
          }
        }
        GuardedBuffer out(kCachedTokens * width, dtype), latents(own.size(), dtype),
            rotary_keys(rotary_key.size(), dtype), scores(kCachedTokens + 2 * latent, tensor::Dtype::kFloat32);
        for (int64_t t = 0; t < kCachedTokens; ++t) {
          latent_attention_cached(
              {.attention = s, .latent = latent, .rotary = rotary}, dtype,
              element_address(query.data(), dtype, t * width), element_address(own.data(), dtype, t * latent),
              element_address(rotary_key.data(), dtype, t * rotary), up.floats(), latents.data(), rotary_keys.data(), t,
              element_address(out.data(), dtype, t * width), scores.floats());
        }
        expect_close(out, expected_of(s, dtype, qkv), tolerance(dtype), "out");
        EXPECT_TRUE(latents.guards_intact() && rotary_keys.guards_intact() && scores.guards_intact());
      }
    }
  }
}

}  // namespace
}  // namespace flywheel::kernels
