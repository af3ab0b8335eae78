// SHA-256 for identities (corpora, recipes, the ledger's chain) and a fast 64-bit mix for seeds and splits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace flywheel {

// Lower-case hex, 64 characters.
std::string sha256_hex(std::string_view bytes);

// Incremental form. Not thread safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(const void* data, size_t bytes);
  std::string hex();  // once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Bijective mixer of splitmix64 (Steele, Lea, Flood 2014).
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// The first eight bytes of the SHA-256, big endian: a stable 64-bit identity.
uint64_t hash64(std::string_view bytes);

}  // namespace flywheel
