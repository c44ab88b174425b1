#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <vector>

namespace espquant::cost {

/// Every offset and chunk of ESP-DL's planner is a multiple of this (ESP-DL 5.3).
inline constexpr std::size_t kTensorAlignment = 16;

/// `size` bytes with the padding behind them.
constexpr std::size_t aligned_size(std::size_t size) {
  return (size + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

/// ESP-DL's placement of tensors in one memory (5.3): a list of chunks side by side, and the free
/// ones among them in order of size, where equals keep the order in which they became free.
class Arena {
 public:
  /// The smallest free chunk that holds `size` bytes; the rest of it stays free. Nothing where none
  /// is large enough.
  std::optional<std::size_t> take_free(std::size_t size);

  /// The same, else at the end: a free last chunk is extended, which keeps its offset.
  std::size_t take(std::size_t size);

  /// Gives the chunk that starts at `offset` back and merges it with free neighbours.
  void give_back(std::size_t offset);

  /// One free chunk of `size` bytes behind everything.
  void add_free(std::size_t size);

  /// Bytes from the start to the end of the last chunk: as large as it ever was.
  std::size_t size() const;

 private:
  struct Chunk {
    std::size_t offset = 0, size = 0;
    bool free = false;
  };
  using ChunkList = std::list<Chunk>;

  void insert_free(ChunkList::iterator chunk);
  void erase_free(ChunkList::iterator chunk);

  ChunkList chunks_;
  std::vector<ChunkList::iterator> free_;
};

}  // namespace espquant::cost
