// Mixed streams and weighted channels against sums written out, and against numeric derivatives.
#include "engine/kernels/streams.h"

#include "engine/kernels/reference/kernel_testing.h"

namespace flywheel::kernels {
namespace {

TEST(Streams, MixingIsAWeightedSumWithAndWithoutAnExtraInput) {
  for_each_target([] {
    for (const int64_t c : {1, 5, 16, 35}) {
      for (const bool has_extra : {false, true}) {
        constexpr int64_t kTokens = 3, kStreams = 2, kOutputs = 3;
        const StreamShape shape{kTokens, c, kStreams, kStreams + (has_extra ? 1 : 0), kOutputs};
        GuardedBuffer x(kTokens * kStreams * c, tensor::Dtype::kFloat32), extra(kTokens * c, tensor::Dtype::kFloat32);
        GuardedBuffer weights(kOutputs * shape.inputs, tensor::Dtype::kFloat32),
            y(kTokens * kOutputs * c, tensor::Dtype::kFloat32);
        GuardedBuffer expected(y.size(), tensor::Dtype::kFloat32), dy(y.size(), tensor::Dtype::kFloat32);
        x.randomise(1);
        extra.randomise(2);
        weights.randomise(3);
        dy.randomise(4);
        const auto loss = [&] {
          mix_streams_forward(shape, weights.floats(), x.floats(), has_extra ? extra.floats() : nullptr, y.floats());
          return project(y, dy);
        };
        loss();
        for (int64_t t = 0; t < kTokens; ++t) {
          for (int64_t i = 0; i < kOutputs * c; ++i) {
            float sum = has_extra ? weights[i / c * 3 + 2] * extra[t * c + i % c] : 0;
            for (int64_t j = 0; j < kStreams; ++j)
              sum += weights[i / c * shape.inputs + j] * x[(t * kStreams + j) * c + i % c];
            expected.set(t * kOutputs * c + i, sum);
          }
        }
        expect_close(y, expected, tolerance(tensor::Dtype::kFloat32), "y");
        GuardedBuffer dx(x.size(), tensor::Dtype::kFloat32), dextra(extra.size(), tensor::Dtype::kFloat32);
        GuardedBuffer dweights(weights.size(), tensor::Dtype::kFloat32);
        mix_streams_backward(shape, weights.floats(), x.floats(), has_extra ? extra.floats() : nullptr, dy.floats(),
                             dx.floats(), has_extra ? dextra.floats() : nullptr, dweights.floats());
        expect_gradient(loss, x, dx);
        expect_gradient(loss, weights, dweights);
        if (has_extra) expect_gradient(loss, extra, dextra);
        EXPECT_TRUE(dx.guards_intact() && dextra.guards_intact() && dweights.guards_intact());
      }
    }
  });
}

TEST(Streams, ChannelsAreWeightedInPlaceOrApart) {
  for_each_target([] {
    for (const int64_t c : {1, 7, 16, 33}) {
      GuardedBuffer x(4 * c, tensor::Dtype::kFloat32), gain(c, tensor::Dtype::kFloat32),
          y(4 * c, tensor::Dtype::kFloat32);
      GuardedBuffer dy(4 * c, tensor::Dtype::kFloat32), dx(4 * c, tensor::Dtype::kFloat32),
          dgain(c, tensor::Dtype::kFloat32);
      x.randomise(1);
      gain.randomise(2);
      dy.randomise(3);
      const auto loss = [&] {
        scale_channels_forward(x.floats(), gain.floats(), 4, c, y.floats());
        return project(y, dy);
      };
      loss();
      EXPECT_EQ(y[3 * c], x[3 * c] * gain[0]);
      scale_channels_backward(x.floats(), gain.floats(), dy.floats(), 4, c, dx.floats(), dgain.floats());
      expect_gradient(loss, x, dx);
      expect_gradient(loss, gain, dgain);
      scale_channels_backward(x.floats(), gain.floats(), dy.floats(), 4, c, dy.floats(), dgain.floats());
      expect_close(dy, dx, 0, "in place");
      EXPECT_TRUE(dgain.guards_intact() && y.guards_intact());
    }
  });
}

}  // namespace
}  // namespace flywheel::kernels
