#include "engine/model/program.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "engine/graph/autodiff.h"
#include "engine/graph/fusion.h"
#include "engine/graph/ops/head.h"
#include "engine/model/decoder.h"
#include "engine/model/ends.h"
#include "recipe/active.h"

namespace flywheel::model {
namespace {

enum class Purpose { kTrain, kEval };

void check_size(const recipe::Recipe& recipe, const recipe::Size& size) {
  const auto refuse = [](const char* field, int64_t found, const std::string& expected) {
    throw_bad_input("size: {} is {}, expected {}", field, found, expected);
  };
  const auto at_least_one = [&](const char* field, int64_t found) {
    if (found < 1) refuse(field, found, "at least 1");
  };
  at_least_one("layers", size.layers);
  at_least_one("width", size.width);
  at_least_one("heads", size.heads);
  at_least_one("kv_heads", size.kv_heads);
  at_least_one("feed_forward", size.feed_forward);
  at_least_one("context", size.context);
  if (size.vocabulary < 2 || size.vocabulary > 65536) refuse("vocabulary", size.vocabulary, "2 to 65536");
  if (recipe.model.predicted_tokens > size.context)
    refuse("context", size.context, fmt::format("at least predicted_tokens ({})", recipe.model.predicted_tokens));
  if (size.heads % size.kv_heads != 0)
    refuse("kv_heads", size.kv_heads, fmt::format("a divisor of heads ({})", size.heads));
  if (recipe.model.head_dim < 1) refuse("model.head_dim", recipe.model.head_dim, "at least 1");
  if (recipe::is_active(recipe, "model.rope_fraction") && recipe.model.rope_fraction == 1 &&
      recipe.model.head_dim % 2 != 0) {
    refuse("model.head_dim", recipe.model.head_dim, "an even number with rotary positions");
  }
}

void build(Program::State& state, Purpose purpose, graph::Graph& graph) {
  Builder builder(state.recipe, state.size, state.compute_dtype, Form::kParallel, state.parameters, graph);
  const int64_t context = state.size.context;
  std::array<graph::ValueId, Slots::kNumber> slots;
  slots[Slots::kTokens] = graph.external("tokens", {context}, tensor::Dtype::kUint16);
  slots[Slots::kTargets] = graph.external("targets", {context}, tensor::Dtype::kUint16);
  slots[Slots::kLossScale] = graph.external("loss_scale", {1}, tensor::Dtype::kFloat32);
  slots[Slots::kRows] = graph.external("rows", {2}, tensor::Dtype::kInt32);
  slots[Slots::kLoss] = graph.external("loss", {1}, tensor::Dtype::kFloat32);

  builder.tokens = slots[Slots::kTokens];
  if (purpose == Purpose::kTrain) {
    builder.loss_scale = slots[Slots::kLossScale];
    train_heads(builder, decoder(builder), slots[Slots::kTargets], slots[Slots::kLoss]);
  } else {
    const graph::ValueId x = final_norm(builder, decoder(builder));
    graph::head_loss(graph, x, head_weight(builder), head_attributes(state.recipe, state.size), slots[Slots::kTargets],
                     slots[Slots::kRows], slots[Slots::kLoss]);
  }
}

std::unique_ptr<graph::Plan> compile(Program::State& state, Purpose purpose, Program::Fusion fusion) {
  graph::Graph graph(&state.packed);
  build(state, purpose, graph);
  if (purpose == Purpose::kTrain) graph::differentiate(graph, {});
  if (fusion == Program::Fusion::kOn) graph::fuse(graph);
  return std::make_unique<graph::Plan>(std::move(graph), graph::Backend::kCpu, state.sequences);
}

}  // namespace

std::vector<ParameterInfo> parameters_of(const recipe::Recipe& recipe, const recipe::Size& size) {
  check_size(recipe, size);
  Program::State state;
  state.recipe = recipe;
  state.size = size;
  graph::Graph graph(&state.packed);
  build(state, Purpose::kTrain, graph);
  const auto all = state.parameters.all();
  return {all.begin(), all.end()};
}

Program::Program(const recipe::Recipe& recipe, const recipe::Size& size, tensor::Dtype compute_dtype, int sequences,
                 Fusion fusion)
    : state_(std::make_unique<State>()) {
  check_size(recipe, size);
  state_->recipe = recipe;
  state_->size = size;
  state_->compute_dtype = compute_dtype;
  state_->sequences = sequences;
  state_->train = compile(*state_, Purpose::kTrain, fusion);
  state_->eval = compile(*state_, Purpose::kEval, fusion);
}

Program::~Program() = default;

std::span<const ParameterInfo> Program::parameters() const {
  return state_->parameters.all();
}
int64_t Program::parameter_elements() const {
  return state_->parameters.elements();
}
tensor::Dtype Program::compute_dtype() const {
  return state_->compute_dtype;
}
int Program::sequences() const {
  return state_->sequences;
}
const recipe::Size& Program::size() const {
  return state_->size;
}

Program::Memory Program::memory() const {
  const int64_t eval = state_->eval->arena_bytes();
  return {.arena_bytes_train = std::max(state_->train->arena_bytes(), eval),
          .arena_bytes_eval = eval,
          .packed_bytes = state_->packed.bytes()};
}

double Program::train_flops() const {
  return state_->train->graph().flops();
}
double Program::eval_flops() const {
  return state_->eval->graph().flops();
}

std::vector<std::string> Program::slower_sizes() const {
  return state_->train->slower_sizes();
}

std::string Program::describe() const {
  return "train\n" + state_->train->describe() + "eval\n" + state_->eval->describe();
}

}  // namespace flywheel::model
