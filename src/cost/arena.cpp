#include "cost/arena.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace espquant::cost {
std::optional<std::size_t> Arena::take_free(std::size_t size) {
  const auto fit =
      std::find_if(free_.begin(), free_.end(), [&](const auto& c) { return c->size >= size; });
  if (fit == free_.end()) return std::nullopt;
  const auto chunk = *fit;
  free_.erase(fit);
  chunk->free = false;
  const std::size_t taken = aligned_size(size);
  if (chunk->size > taken) {
    const Chunk rest{chunk->offset + taken, chunk->size - taken, true};
    insert_free(chunks_.insert(std::next(chunk), rest));
    chunk->size = taken;
  }
  return chunk->offset;
}

std::size_t Arena::take(std::size_t size) {
  if (const auto offset = take_free(size)) return *offset;
  if (!chunks_.empty() && chunks_.back().free) {
    const auto last = std::prev(chunks_.end());
    erase_free(last);
    last->free = false;
    last->size = aligned_size(size);
    return last->offset;
  }
  chunks_.push_back({this->size(), aligned_size(size), false});
  return chunks_.back().offset;
}

void Arena::give_back(std::size_t offset) {
  const auto chunk = std::find_if(chunks_.begin(), chunks_.end(),
                                  [&](const Chunk& c) { return c.offset == offset && !c.free; });
  ESPQUANT_ASSERT(chunk != chunks_.end(), "no chunk in use starts here");
  chunk->free = true;
  if (const auto next = std::next(chunk); next != chunks_.end() && next->free) {
    chunk->size += next->size;
    erase_free(next);
    chunks_.erase(next);
  }
  if (chunk != chunks_.begin()) {
    if (const auto previous = std::prev(chunk); previous->free) {
      chunk->offset = previous->offset;
      chunk->size += previous->size;
      erase_free(previous);
      chunks_.erase(previous);
    }
  }
  insert_free(chunk);
}

void Arena::add_free(std::size_t size) {
  chunks_.push_back({this->size(), size, true});
  insert_free(std::prev(chunks_.end()));
}

std::size_t Arena::size() const {
  return chunks_.empty() ? 0 : chunks_.back().offset + chunks_.back().size;
}

void Arena::insert_free(ChunkList::iterator chunk) {
  const auto place =
      std::upper_bound(free_.begin(), free_.end(), chunk->size,
                       [](std::size_t size, const auto& other) { return size < other->size; });
  free_.insert(place, chunk);
}

void Arena::erase_free(ChunkList::iterator chunk) {
  free_.erase(std::find(free_.begin(), free_.end(), chunk));
}

}  // namespace espquant::cost
