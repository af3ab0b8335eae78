// head: the output projection with cross-entropy. In training, loss and gradients come out of one pass over tiles of
// tokens, so that logits of the whole sequence never exist.
#pragma once

#include "engine/graph/graph.h"
#include "engine/kernels/cross_entropy.h"

namespace flywheel::graph {

extern const struct Op kHeadLoss;
extern const struct Op kHeadTrain;
extern const struct Op kHeadLogits;

struct HeadAttributes {
  kernels::HeadOptions options;
  // kHeadTrain only: multi-token prediction. The head at token t predicts the target of token t + ahead, so that the
  // last `ahead` tokens have none; its gradient counts `share`.
  int ahead = 0;
  float share = 1;
};

// x (T, C); `weight` a parameter (V, C); targets (T) uint16 external. `rows` (2 x int32 external): the first token that
// counts and the one after the last; the head computes no others. `losses` is an external that points to doubles, one
// for each of these tokens, and is written: their losses in nats.
void head_loss(Graph& graph, ValueId x, ValueId weight, const HeadAttributes& attributes, ValueId targets, ValueId rows,
               ValueId losses);
// Over all tokens, with the gradients of loss_scale (float external) times the sum (and the z-loss, which is not in
// `loss`). `loss`: an external of one element that points to a double and is written, the sum of the token losses in
// nats; may be kNoValue. Differentiable without a seed.
void head_train(Graph& graph, ValueId x, ValueId weight, const HeadAttributes& attributes, ValueId targets,
                ValueId loss_scale, ValueId loss);
// Logits (V) float32, written to the external `logits`, of row count - 1.
void head_logits(Graph& graph, ValueId x, ValueId weight, const HeadAttributes& attributes, ValueId count,
                 ValueId logits);

}  // namespace flywheel::graph
