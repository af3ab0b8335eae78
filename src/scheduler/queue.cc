#include "scheduler/queue.h"

#include <algorithm>

namespace flywheel::scheduler {

struct Queue::Node {
  Request request;
  Request least;    // of the whole subtree, field by field
  uint64_t weight;  // parents weigh more
  Link before, after;
};

namespace {

// SplitMix64 (Steele et al. 2014): weights that look random and are the same in every process.
uint64_t weight_of(int64_t order) {
  uint64_t x = static_cast<uint64_t>(order) + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

void lower(Request& least, const Request& other) {
  least.expected_seconds = std::min(least.expected_seconds, other.expected_seconds);
  least.flops = std::min(least.flops, other.flops);
  least.needs.cores = std::min(least.needs.cores, other.needs.cores);
  least.needs.memory_bytes = std::min(least.needs.memory_bytes, other.needs.memory_bytes);
  least.needs.gpus = std::min(least.needs.gpus, other.needs.gpus);
}

bool fits_at_least(Fit fit, Fit at_least) {
  return fit == Fit::kNow || (at_least == Fit::kWhenOthersEnd && fit == Fit::kWhenOthersEnd);
}

}  // namespace

Queue::Queue() = default;
Queue::~Queue() = default;

void Queue::clear() {
  root_.reset();
}

void Queue::summarise(Node& node) {
  node.least = node.request;
  if (node.before) lower(node.least, node.before->least);
  if (node.after) lower(node.least, node.after->least);
}

void Queue::split(Link tree, const Request& at, Link& before, Link& from) {
  if (!tree) {
    before.reset();
    from.reset();
    return;
  }
  if (starts_before(tree->request, at)) {
    Link right;
    split(std::move(tree->after), at, right, from);
    tree->after = std::move(right);
    summarise(*tree);
    before = std::move(tree);
  } else {
    Link left;
    split(std::move(tree->before), at, before, left);
    tree->before = std::move(left);
    summarise(*tree);
    from = std::move(tree);
  }
}

Queue::Link Queue::join(Link before, Link after) {
  if (!before) return after;
  if (!after) return before;
  if (before->weight > after->weight) {
    before->after = join(std::move(before->after), std::move(after));
    summarise(*before);
    return before;
  }
  after->before = join(std::move(before), std::move(after->before));
  summarise(*after);
  return after;
}

void Queue::insert(const Request& request) {
  auto node = std::make_unique<Node>(Node{request, request, weight_of(request.order), nullptr, nullptr});
  Link before, from;
  split(std::move(root_), request, before, from);
  root_ = join(join(std::move(before), std::move(node)), std::move(from));
}

void Queue::erase(const Request& request) {
  Request next = request;
  ++next.order;
  Link before, from, only, after;
  split(std::move(root_), request, before, from);
  split(std::move(from), next, only, after);
  root_ = join(std::move(before), std::move(after));
}

const Request* Queue::first(const Room& room, Fit at_least, const Request* after) const {
  return first(root_.get(), room, at_least, after);
}

const Request* Queue::first(const Node* node, const Room& room, Fit at_least, const Request* after) const {
  if (node == nullptr) return nullptr;
  ++examined_;
  if (!fits_at_least(fits(node->least, room), at_least)) return nullptr;
  const bool is_after = after == nullptr || starts_before(*after, node->request);
  if (is_after) {
    if (const Request* found = first(node->before.get(), room, at_least, after)) return found;
    if (fits_at_least(fits(node->request, room), at_least)) return &node->request;
  }
  return first(node->after.get(), room, at_least, is_after ? nullptr : after);
}

}  // namespace flywheel::scheduler
