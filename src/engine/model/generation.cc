// Generation: the graph of one token, with the tokens before it in states.
#include <array>
#include <cstring>

#include "base/check.h"
#include "engine/graph/fusion.h"
#include "engine/graph/ops/head.h"
#include "engine/model/decoder.h"
#include "engine/model/ends.h"
#include "engine/model/program.h"
#include "engine/tensor/arena.h"

namespace flywheel::model {
namespace {

enum GenerationSlots : size_t { kToken, kPosition, kCount, kLogits, kNumber };

graph::Plan compile(const Program::State& program) {
  graph::PackedLayout packed = program.packed;  // copies: every form and parameter needed is there already
  ParameterTable parameters = program.parameters;
  graph::Graph graph(&packed);
  Builder builder(program.recipe, program.size, program.compute_dtype, Form::kRecurrent, parameters, graph);
  builder.tokens = graph.external("token", {1}, tensor::Dtype::kUint16);
  builder.position = graph.external("position", {1}, tensor::Dtype::kInt32);
  const graph::ValueId count = graph.external("count", {1}, tensor::Dtype::kInt32);
  const graph::ValueId logits = graph.external("logits", {program.size.vocabulary}, tensor::Dtype::kFloat32);
  const graph::ValueId x = final_norm(builder, decoder(builder));
  graph::head_logits(graph, x, head_weight(builder), head_attributes(program.recipe, program.size), count, logits);
  graph::fuse(graph);
  CHECK(packed.bytes() == program.packed.bytes() && parameters.elements() == program.parameters.elements(),
        "the recurrent form takes weights that the parallel one has not");
  return graph::Plan(std::move(graph), graph::Backend::kCpu);
}

}  // namespace

struct Generation::State {
  State(const Program::State& p, const PackedWeights& packed, const float* parameters)
      : plan(compile(p)),
        context(p.size.context),
        arena(plan.arena_bytes()),
        states(plan.graph().state_bytes()),
        logits(static_cast<size_t>(p.size.vocabulary)) {
    slots = {&token, &position, &count, logits.data()};
    buffers = {.arena = arena.data(),
               .parameters = parameters,
               .packed = packed.data(),
               .externals = slots,
               .state = states.data()};
  }

  graph::Plan plan;
  int64_t context;
  tensor::Arena arena, states;
  std::vector<float> logits;
  uint16_t token = 0;
  int32_t position = 0, count = 1;
  std::array<void*, kNumber> slots{};
  graph::Buffers buffers;
};

Generation::Generation(const Program& program, const PackedWeights& packed, const float* parameters)
    : state_(std::make_unique<State>(program.state(), packed, parameters)) {}

Generation::~Generation() = default;

void Generation::reset() {
  std::memset(state_->states.data(), 0, static_cast<size_t>(state_->states.bytes()));
  state_->position = 0;
}

std::span<const float> Generation::next(uint16_t token) {
  State& s = *state_;
  CHECK(s.position < s.context, "position {} of {}", s.position, s.context);
  s.token = token;
  s.plan.run(s.buffers);
  ++s.position;
  return s.logits;
}

int64_t Generation::position() const {
  return state_->position;
}

}  // namespace flywheel::model
