// The residual stream: where each block takes its input from and where its result goes. One place for normalisation and
// its placement, residual scaling, skips and hyper-connections.
#pragma once

#include <string>
#include <vector>

#include "engine/model/builder.h"

namespace flywheel::model {

// x (T, C) float32, normalised as the recipe says; gives `dtype`.
graph::ValueId normalise(Builder& builder, const std::string& name, graph::ValueId x, tensor::Dtype dtype);

// Blocks are read and written one after the other, in the order of the layers.
// - Placement: pre normalises a block's input (Xiong et al. 2020), post its output before it is added (Swin
//   Transformer V2, Liu et al. 2022; OLMo 2, 2025), sandwich both (CogView, Ding et al. 2021; Gemma 2). The stream
//   itself is never normalised, so all three end in a final norm, which is the decoder's.
// - Skips: U-Net's (Ronneberger et al. 2015; on transformers Bao et al. 2023): the stream that layer i received is
// added,
//   times a learned weight that starts at 1, to what layer L - 1 - i receives, for i < L / 2.
// - Streams: static hyper-connections (Zhu et al. 2024). A block reads a learned mix of the n streams and its result is
//   added to each with a learned weight, while the streams mix among themselves. At the start every stream is the plain
//   residual stream; the end is their mean.
class ResidualStream {
 public:
  // embedded (T, C) float32.
  ResidualStream(Builder& builder, graph::ValueId embedded);
  // Before the blocks of `layer` (0 first).
  void enter(int layer);
  // The input (T, C) of the block, in compute_dtype.
  graph::ValueId read(const std::string& block);
  // Takes what the block gave, (T, C) float32.
  void write(const std::string& block, graph::ValueId result);
  // (T, C) float32, after the last layer.
  graph::ValueId end();

 private:
  Builder& builder_;
  graph::ValueId x_;  // (T, streams * C)
  int streams_;
  int blocks_read_ = 0;
  std::vector<graph::ValueId> received_;  // by the layers of the first half
};

}  // namespace flywheel::model
