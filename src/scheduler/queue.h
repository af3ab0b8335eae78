// The waiting runs in start order, as a search tree. Each node holds the smallest need of any run below it, so that the
// first run that fits is found without examining those before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "scheduler/plan.h"

namespace flywheel::scheduler {

// A treap (Seidel and Aragon 1996) ordered by starts_before. insert() and erase() take O(log n) on average; so does
// first() unless runs that are short of one resource alternate with runs that are short of another.
class Queue {
 public:
  Queue();
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // REQUIRES that no request with the same order is there.
  void insert(const Request& request);
  // REQUIRES that it is there.
  void erase(const Request& request);
  void clear();

  // The first request, after `after` where that is given, that fits at least so well (kNow, or kWhenOthersEnd for any
  // within the budget); null: none. Valid until the next insert or erase.
  const Request* first(const Room& room, Fit at_least, const Request* after = nullptr) const;
  // Requests and subtrees that first() has compared with a room so far.
  int64_t examined() const { return examined_; }

 private:
  struct Node;
  using Link = std::unique_ptr<Node>;
  static void summarise(Node& node);
  static void split(Link tree, const Request& at, Link& before, Link& from);
  static Link join(Link before, Link after);
  const Request* first(const Node* node, const Room& room, Fit at_least, const Request* after) const;

  Link root_;
  mutable int64_t examined_ = 0;
};

}  // namespace flywheel::scheduler
