// Every op: its vjp against finite differences, fused and not; the ones that cannot be differentiated, by what they
// give.
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <set>

#include "engine/graph/op.h"
#include "engine/graph/ops/activation.h"
#include "engine/graph/ops/add.h"
#include "engine/graph/ops/attention.h"
#include "engine/graph/ops/convert.h"
#include "engine/graph/ops/dynamic_tanh.h"
#include "engine/graph/ops/embedding.h"
#include "engine/graph/ops/forget.h"
#include "engine/graph/ops/gated.h"
#include "engine/graph/ops/gated_norm.h"
#include "engine/graph/ops/grouped_linear.h"
#include "engine/graph/ops/head.h"
#include "engine/graph/ops/latent.h"
#include "engine/graph/ops/linear.h"
#include "engine/graph/ops/mix_streams.h"
#include "engine/graph/ops/ngram_embedding.h"
#include "engine/graph/ops/norm.h"
#include "engine/graph/ops/qk_prepare.h"
#include "engine/graph/ops/recurrence.h"
#include "engine/graph/ops/route.h"
#include "engine/graph/ops/rwkv.h"
#include "engine/graph/ops/scale.h"
#include "engine/graph/ops/short_convolution.h"
#include "engine/graph/ops/sigmoid_gate.h"
#include "engine/graph/ops/split.h"
#include "engine/graph/ops/value_lerp.h"
#include "engine/graph/ops/value_residual.h"
#include "engine/kernels/attention.h"
#include "testing/gradient_check.h"

namespace flywheel::graph {
namespace {

using Ids = std::vector<ValueId>;
using kernels::Activation;
using kernels::Forget;
using testing::Fragment;

ValueId rotated(Graph& g, ValueId qkv, int rotary, bool qk_norm, int vectors, int head_dim) {
  ValueId cosines = kNoValue, sines = kNoValue;
  if (rotary > 0) {
    const tensor::Shape shape{8, rotary / 2};
    std::vector<float> c(static_cast<size_t>(shape.elements())), s(c.size());
    kernels::rope_table(8, rotary, 100, c.data(), s.data());
    cosines = g.constant("cosines", shape, c);
    sines = g.constant("sines", shape, s);
  }
  return qk_prepare(g, qkv, cosines, sines, {.vectors = vectors, .head_dim = head_dim, .qk_norm = qk_norm});
}

std::vector<Fragment> fragments() {
  std::vector<Fragment> list;
  list.push_back(
      {"add", {{8, 5}, {8, 5}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) { return add(g, x[0], x[1]); }});
  list.push_back({"add of one value twice", {{8, 5}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) {
                    return add(g, x[0], x[0]);
                  }});
  list.push_back(
      {"embedding with positions", {}, {{4, 5}, {8, 5}}, [](Graph& g, const Ids&, const Ids& p, ValueId tokens) {
         return embedding(g, tokens, p[0], p[1]);
       }});
  list.push_back({"embedding", {}, {{4, 5}}, [](Graph& g, const Ids&, const Ids& p, ValueId tokens) {
                    return embedding(g, tokens, p[0], kNoValue);
                  }});
  list.push_back(
      {"embedding with bigrams", {}, {{4, 5}, {7, 5}}, [](Graph& g, const Ids&, const Ids& p, ValueId tokens) {
         return add(g, embedding(g, tokens, p[0], kNoValue), ngram_embedding(g, tokens, p[1], 2));
       }});
  list.push_back({"layer norm", {{8, 13}}, {{13}, {13}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return norm(g, true, x[0], p[0], p[1], tensor::Dtype::kFloat32);
                  }});
  list.push_back({"rms norm", {{8, 13}}, {{13}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return norm(g, false, x[0], p[0], kNoValue, tensor::Dtype::kFloat32);
                  }});
  list.push_back({"norm without gain", {{8, 13}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) {
                    return norm(g, false, x[0], kNoValue, kNoValue, tensor::Dtype::kFloat32);
                  }});
  list.push_back({"dynamic tanh", {{8, 13}}, {{1}, {13}, {13}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return dynamic_tanh(g, x[0], p[0], p[1], p[2], tensor::Dtype::kFloat32);
                  }});
  list.push_back({"scale before an add", {{8, 5}, {8, 5}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) {
                    return add(g, x[0], scale(g, x[1], -0.3f));
                  }});
  list.push_back({"scale of each channel", {{8, 21}}, {{21}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return scale_channels(g, x[0], p[0]);
                  }});
  list.push_back({"one stream becomes three", {{8, 19}}, {{3}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return mix_streams(g, x[0], kNoValue, kNoValue, p[0], 3);
                  }});
  list.push_back({"streams mixed with a block's result",
                  {{8, 57}, {8, 19}},
                  {{8}},
                  [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    const ValueId base = g.constant("base", {2, 4}, {1, 0, 0, 1, 0, 1, 0, 1});
                    return mix_streams(g, x[0], x[1], base, p[0], 2);
                  }});
  list.push_back({"mean of streams", {{8, 57}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) {
                    const ValueId base = g.constant("base", {1, 3}, {0.25f, 0.5f, 0.25f});
                    return mix_streams(g, x[0], kNoValue, base, kNoValue, 1);
                  }});
  list.push_back({"linear", {{8, 7}}, {{9, 7}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return linear(g, x[0], p[0], tensor::Dtype::kFloat32);
                  }});
  list.push_back({"one weight used twice", {{8, 7}}, {{7, 7}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return linear(g, linear(g, x[0], p[0], tensor::Dtype::kFloat32), p[0], tensor::Dtype::kFloat32);
                  }});
  for (Activation kind : {Activation::kGelu, Activation::kReluSquared, Activation::kSilu}) {
    list.push_back({"activation", {{8, 9}}, {}, [kind](Graph& g, const Ids& x, const Ids&, ValueId) {
                      return activation(g, kind, x[0]);
                    }});
    list.push_back({"residual two-layer network",
                    {{8, 7}},
                    {{7}, {20, 7}, {7, 20}},
                    [kind](Graph& g, const Ids& x, const Ids& p, ValueId) {
                      const ValueId h = norm(g, false, x[0], p[0], kNoValue, tensor::Dtype::kFloat32);
                      const ValueId up = activation(g, kind, linear(g, h, p[1], tensor::Dtype::kFloat32));
                      return add(g, x[0], linear(g, up, p[2], tensor::Dtype::kFloat32));
                    }});
  }
  for (Activation gate : {Activation::kSilu, Activation::kGelu}) {
    list.push_back(
        {"gated", {{8, 18}}, {}, [gate](Graph& g, const Ids& x, const Ids&, ValueId) { return gated(g, gate, x[0]); }});
  }
  for (int active : {1, 2, 5}) {
    list.push_back(
        {"experts",
         {{3, 5}, {3, 6}, {3, 7}},
         {{5, 9, 6}, {5, 7, 9}},
         [active](Graph& g, const Ids& x, const Ids& p, ValueId) {
           // Gaps between the experts, so that no small step changes a choice.
           const ValueId gaps = g.constant("gaps", {3, 5}, {0, 2, -2, 4, -4, 2, 4, -4, 0, -2, -4, 0, 4, -2, 2});
           const Routing r = route(g, add(g, x[0], gaps), kNoValue, kNoValue, {.active = active});
           const ValueId up = grouped_linear(g, spread(g, x[1], r.places), p[0], r.first, tensor::Dtype::kFloat32);
           const ValueId y = grouped_linear(g, up, p[1], r.first, tensor::Dtype::kFloat32);
           return add(g, x[2], combine(g, y, r.weights, r.places));
         }});
  }
  for (int kv_heads : {1, 2, 4}) {
    const int width = (4 + 2 * kv_heads) * 6;
    list.push_back({"attention", {{8, width}}, {}, [kv_heads](Graph& g, const Ids& x, const Ids&, ValueId) {
                      return attention(g, x[0], {.heads = 4, .kv_heads = kv_heads, .head_dim = 6, .scale = 0.4f});
                    }});
  }
  list.push_back(
      {"attention with everything", {{8, 36}}, {{4}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
         const AttentionAttributes attributes{
             .heads = 4, .kv_heads = 1, .head_dim = 6, .scale = 0.4f, .window = 3, .softcap = 1.5f, .alibi = true};
         return attention(g, x[0], attributes, p[0]);
       }});
  list.push_back({"sigmoid gate", {{8, 21}, {8, 21}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) {
                    return sigmoid_gate(g, x[0], x[1]);
                  }});
  list.push_back({"values mixed with those of the first two layers",
                  {{8, 27}, {8, 27}},
                  {{1}, {1}},
                  [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    const ValueId first = values(g, x[0], 5);
                    return value_residual(g, value_residual(g, x[1], first, p[0]), first, p[1]);
                  }});
  list.push_back({"latent_qkv", {{8, 18}, {8, 2}, {8, 30}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) {
                    return latent_qkv(g, x[0], x[1], x[2], 3);
                  }});
  list.push_back({"latent_qkv, no rotary key", {{8, 18}, {8, 36}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) {
                    return latent_qkv(g, x[0], kNoValue, x[1], 3);
                  }});
  for (int rotary : {2, 4}) {
    list.push_back({"qk_prepare of a part", {{8, 30}}, {}, [=](Graph& g, const Ids& x, const Ids&, ValueId) {
                      return rotated(g, x[0], rotary, true, 4, 6);
                    }});
  }
  for (bool rope : {false, true}) {
    for (bool qk_norm : {false, true}) {
      list.push_back({"qk_prepare", {{8, 30}}, {}, [=](Graph& g, const Ids& x, const Ids&, ValueId) {
                        return rotated(g, x[0], rope ? 6 : 0, qk_norm, 4, 6);
                      }});
    }
  }
  list.push_back({"split", {{8, 12}}, {}, [](Graph& g, const Ids& x, const Ids&, ValueId) {
                    const Ids parts = split(g, x[0], {5, 2, 5});  // the middle is read by nobody
                    return add(g, parts[0], parts[2]);
                  }});
  for (Forget kind : {Forget::kRoot, Forget::kStep, Forget::kDelta, Forget::kSigmoid}) {
    const std::vector<tensor::Shape> parameters(kernels::has_rate(kind) ? 2 : 1, tensor::Shape{3});
    list.push_back({"forget",
                    {{8, kind == Forget::kDelta ? 6 : 3}},
                    parameters,
                    [kind](Graph& g, const Ids& x, const Ids& p, ValueId) {
                      const Forgotten f = forget(g, kind, x[0], p[0], p.size() > 1 ? p[1] : kNoValue);
                      return f.beta == kNoValue ? f.log_decay : add(g, f.log_decay, f.beta);
                    }});
  }
  for (bool gate_first : {false, true}) {
    list.push_back(
        {"gated norm", {{8, 10}, {8, 10}}, {{10}}, [gate_first](Graph& g, const Ids& x, const Ids& p, ValueId) {
           return gated_norm(g, x[0], x[1], p[0], {.groups = 2, .gate_first = gate_first});
         }});
  }
  list.push_back({"gated linear", {{8, 22}, {8, 6}}, {{6}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    const ValueId decay = forget(g, Forget::kRoot, x[1], p[0]).log_decay;
                    return recurrence(g, {.qkv = x[0], .log_decay = decay},
                                      {.heads = 2, .key_dim = 3, .value_dim = 5, .channel_decay = true});
                  }});
  list.push_back(
      {"shared keys with skips", {{8, 14}, {8, 2}}, {{2}, {2}, {2}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
         const Forgotten f = forget(g, Forget::kStep, x[1], p[0], p[1]);
         return recurrence(g, {.qkv = x[0], .log_decay = f.log_decay, .beta = f.beta, .skip = p[2]},
                           {.heads = 2, .key_dim = 2, .value_dim = 5, .shared_keys = true});
       }});
  list.push_back({"gated delta", {{8, 22}, {8, 4}}, {{2}, {2}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    const Forgotten f = forget(g, Forget::kDelta, x[1], p[0], p[1]);
                    return recurrence(
                        g, {.qkv = x[0], .log_decay = f.log_decay, .beta = f.beta},
                        {.heads = 2, .key_dim = 3, .value_dim = 5, .unit_keys = true, .delta = kernels::Delta::kBeta});
                  }});
  list.push_back({"short convolution", {{8, 7}}, {{3, 7}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return short_convolution(g, x[0], p[0]);
                  }});
  list.push_back({"token shift", {{8, 7}}, {{6, 7}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    const Ids streams = token_shift(g, x[0], p[0]);  // the fifth is read by nobody
                    ValueId sum = add(g, squash(g, kernels::Squash::kTanh, streams[0]), streams[1]);
                    sum = add(g, sum, squash(g, kernels::Squash::kSigmoid, streams[2]));
                    return add(g, sum, squash(g, kernels::Squash::kTanh, add(g, streams[3], streams[5])));
                  }});
  list.push_back(
      {"generalised delta rule",
       {{8, 6}, {8, 6}, {8, 10}, {8, 6}, {8, 6}, {8, 10}},
       {{6}, {6}, {6}, {6}, {10}, {10}, {6}},
       [](Graph& g, const Ids& x, const Ids& p, ValueId) {
         const RwkvHeads heads{.heads = 2, .key_dim = 3, .value_dim = 5};
         const RwkvKeyValues made = rwkv_keys(g, {x[0], x[1], x[2], x[3], p[0], p[1], p[2]}, heads);
         const ValueId decay = forget(g, Forget::kSigmoid, x[4], p[3]).log_decay;
         const ValueId mixed = recurrence(
             g, {.qkv = made.qkv, .log_decay = decay, .ab = made.ab},
             {.heads = 2, .key_dim = 3, .value_dim = 5, .channel_decay = true, .delta = kernels::Delta::kGiven});
         return rwkv_output(g, {mixed, made.qkv, x[5], p[4], p[5], p[6]}, heads);
       }});
  list.push_back({"value lerp", {{8, 7}, {8, 7}, {8, 7}}, {{7}}, [](Graph& g, const Ids& x, const Ids& p, ValueId) {
                    return value_lerp(g, x[0], x[1], x[2], p[0]);
                  }});
  return list;
}

TEST(Ops, GradientsMatchFiniteDifferencesFusedAndNot) {
  for (const Fragment& fragment : fragments()) {
    for (uint64_t seed : {1u, 2u}) {
      check_gradients(fragment, false, seed);
      check_gradients(fragment, true, seed);
    }
  }
}

// The head's loss and gradients come from one op; its loss alone from another. x and the table vary.
class Head {
 public:
  explicit Head(bool training, const kernels::HeadOptions& options = {.logit_scale = 0.7f})
      : flat_(9 * 6), x_(8 * 6), dx_(x_.size()), gradients_(flat_.size()) {
    Graph g(&layout_);
    const ValueId x = g.external("x", {8, 6}, tensor::Dtype::kFloat32),
                  targets = g.external("targets", {8}, tensor::Dtype::kUint16);
    const ValueId scale = g.external("loss_scale", {1}, tensor::Dtype::kFloat32),
                  count = g.external("count", {1}, tensor::Dtype::kInt32);
    const ValueId rows = g.external("rows", {2}, tensor::Dtype::kInt32);
    const ValueId loss = g.external("loss", {8}, tensor::Dtype::kFloat32),
                  logits = g.external("logits", {9}, tensor::Dtype::kFloat32);
    const ValueId weight = g.parameter("head", {9, 6}, 0);
    if (training) {
      head_train(g, x, weight, {.options = options}, targets, scale, loss);
      dx_value_ = differentiate(g, {}, std::vector<ValueId>{x})[0];
      g.keep(dx_value_);
    } else {
      head_loss(g, x, weight, {.options = options}, targets, rows, loss);
      head_logits(g, x, weight, {.options = options}, count, logits);
    }
    plan_ = std::make_unique<Plan>(std::move(g), Backend::kCpu);
    arena_ = tensor::Arena(plan_->arena_bytes());
    packed_ = tensor::Arena(layout_.bytes());
    Rng rng(4);
    for (float& v : flat_) v = static_cast<float>(rng.normal());
    for (float& v : x_) v = static_cast<float>(rng.normal());
  }
  // The loss of training, or the sum over the tokens from `first` to before `count`.
  double run(int32_t count, float loss_scale, int32_t first = 0) {
    layout_.refresh(flat_.data(), packed_.data(), 0, 1);
    losses_.assign(8, 0.0);
    std::array<int32_t, 2> rows = {first, count};
    std::vector<void*> slots = {x_.data(),   targets_.data(), &loss_scale,   &count,
                                rows.data(), losses_.data(),  logits_.data()};
    const Buffers buffers{arena_.data(), flat_.data(), gradients_.data(), packed_.data(), slots};
    plan_->run(buffers);
    if (dx_value_ != kNoValue) {
      const float* dx = static_cast<const float*>(plan_->address(dx_value_, buffers));
      dx_.assign(dx, dx + x_.size());
    }
    return std::accumulate(losses_.begin(), losses_.end(), 0.0);
  }

  PackedLayout layout_;
  std::unique_ptr<Plan> plan_;
  tensor::Arena arena_, packed_;
  std::vector<float> flat_, x_, dx_, gradients_;
  std::vector<uint16_t> targets_ = {0, 8, 3, 3, 1, 7, 2, 5};
  std::vector<float> logits_ = std::vector<float>(9);
  std::vector<double> losses_;
  ValueId dx_value_ = kNoValue;
};

TEST(Head, TrainingGradientsMatchFiniteDifferencesOfTheLoss) {
  for (const float softcap : {0.0f, 2.5f}) {
    const kernels::HeadOptions options{.logit_scale = 0.7f, .softcap = softcap};
    Head train(true, options), eval(false, options);
    const float scale = 0.25f;
    EXPECT_NEAR(train.run(8, scale), eval.run(8, 1), 1e-5);
    for (auto [values, gradients] : {std::pair{&eval.x_, &train.dx_}, std::pair{&eval.flat_, &train.gradients_}}) {
      for (size_t i = 0; i < values->size(); i += 5) {
        const float start = (*values)[i];
        (*values)[i] = start + 1e-2f;
        const double above = eval.run(8, 1);
        (*values)[i] = start - 1e-2f;
        const double below = eval.run(8, 1);
        (*values)[i] = start;
        // Float32 losses near 20, a step of 1e-2 and its cubic term: a few 1e-4.
        EXPECT_NEAR((*gradients)[i], scale * (above - below) / 2e-2, 5e-4) << i;
      }
    }
  }
}

TEST(Head, LossesAreOfTheRowsAskedForAndLogitsOfTheLast) {
  Head eval(false);
  std::vector<double> by_hand;
  for (int32_t row = 0; row < 8; ++row) {
    std::vector<double> logits(9, 0.0);
    double sum = 0;
    for (size_t v = 0; v < 9; ++v) {
      for (size_t c = 0; c < 6; ++c)
        logits[v] += 0.7 * double{eval.x_[static_cast<size_t>(row) * 6 + c]} * eval.flat_[v * 6 + c];
      sum += std::exp(logits[v]);
    }
    by_hand.push_back(std::log(sum) - logits[eval.targets_[static_cast<size_t>(row)]]);
    for (int32_t first = 0; first <= row; ++first) {
      eval.run(row + 1, 1, first);
      for (int32_t i = first; i <= row; ++i)
        EXPECT_NEAR(eval.losses_[static_cast<size_t>(i - first)], by_hand[static_cast<size_t>(i)], 1e-5);
      const double beside_others = eval.losses_[static_cast<size_t>(row - first)];
      eval.run(8, 1);
      EXPECT_EQ(eval.losses_[static_cast<size_t>(row)], beside_others);
    }
    eval.run(row + 1, 1);
    for (size_t v = 0; v < 9; ++v) EXPECT_NEAR(eval.logits_[v], logits[v], 1e-5);
  }
}

TEST(Convert, RoundsToBfloat16AndBack) {
  PackedLayout layout;
  Graph g(&layout);
  const ValueId x = g.external("x", {3}, tensor::Dtype::kFloat32);
  const ValueId y = convert(g, convert(g, x, tensor::Dtype::kBfloat16), tensor::Dtype::kFloat32);
  EXPECT_EQ(convert(g, x, tensor::Dtype::kFloat32), x);
  g.keep(y);
  const Plan plan(std::move(g), Backend::kCpu);
  const tensor::Arena arena(plan.arena_bytes());
  std::vector<float> values = {1.0f, 3.1415926f, -1e-20f};
  std::vector<void*> slots = {values.data()};
  const Buffers buffers{.arena = arena.data(), .externals = slots};
  plan.run(buffers);
  const float* result = static_cast<const float*>(plan.address(y, buffers));
  EXPECT_EQ(result[0], 1.0f);
  // Eight bits of significand: half a unit in the last place is 2^-9 of the value.
  for (size_t i : {1, 2}) EXPECT_NEAR(result[i], values[i], std::abs(values[i]) / 512);
  EXPECT_NE(result[1], values[1]);
}

TEST(Table, EveryOpHasAUniqueNameACpuKernelAndATest) {
  std::set<std::string> names, tested = {"head_train", "head_loss", "head_logits", "convert"};
  for (const char* name :
       {"attention_cached", "latent_attention_cached", "recurrence_step", "short_convolution_step", "token_shift_step"})
    tested.insert(name);  // recurrent forms: model/generation_test.cc
  for (const Fragment& fragment : fragments()) {
    const testing::FragmentRun run(fragment, false, 1);
    for (const Node& node : run.plan().graph().nodes()) tested.insert(node.op->name);
  }
  for (const Op* op : all_ops()) {
    EXPECT_TRUE(names.insert(op->name).second) << op->name;
    EXPECT_NE(op->kernels[static_cast<size_t>(Backend::kCpu)], nullptr) << op->name;
    EXPECT_TRUE(tested.contains(op->name)) << op->name;
  }
}

}  // namespace
}  // namespace flywheel::graph
