// Scripts: the stages of a campaign as coroutines. A stage reads as a sequence of steps. Where it waits for runs it
// returns to the campaign's driver (a command, a server, a test on a virtual clock) and is resumed when they have
// ended. A script starts when it is awaited or started; its exceptions pass to its awaiter. Not thread safe.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace flywheel::campaign {

template <typename T = void>
class Script;

namespace script_detail {

struct PromiseBase {
  std::coroutine_handle<> awaited_by;
  std::exception_ptr error;

  struct Final {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      const std::coroutine_handle<> next = self.promise().awaited_by;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };
  std::suspend_always initial_suspend() noexcept { return {}; }
  Final final_suspend() noexcept { return {}; }
  void unhandled_exception() { error = std::current_exception(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Script<T> get_return_object();
  void return_value(T result) { value = std::move(result); }
  T take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
  Script<void> get_return_object();
  void return_void() {}
  void take() {}
};

}  // namespace script_detail

template <typename T>
class [[nodiscard]] Script {
 public:
  using promise_type = script_detail::Promise<T>;

  Script() = default;
  explicit Script(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Script(Script&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Script& operator=(Script&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  // Also ends scripts that this one awaits: they live in its frame.
  ~Script() {
    if (handle_) handle_.destroy();
  }

  // Runs to the first wait, or to the end.
  void start() { handle_.resume(); }
  bool done() const { return handle_ && handle_.done(); }
  // REQUIRES done(). Throws what the script threw.
  T result() {
    if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    return handle_.promise().take();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
    handle_.promise().awaited_by = waiting;
    return handle_;
  }
  T await_resume() { return result(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

namespace script_detail {

template <typename T>
Script<T> Promise<T>::get_return_object() {
  return Script<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Script<void> Promise<void>::get_return_object() {
  return Script<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace script_detail
}  // namespace flywheel::campaign
