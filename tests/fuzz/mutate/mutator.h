#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/random.h"

/// Mutators that keep a format valid, so that fuzzing gets behind its parser. Where bytes are not
/// of their format, and now and then where they are, they leave it to a mutator of bytes.
namespace espquant::test {

using Bytes = std::vector<std::byte>;
/// Changes bytes whatever they mean: libFuzzer's own.
using MutateBytes = std::function<void(Bytes&)>;

/// The messages of ONNX: fields come, go, move and change; Protocol Buffers stay what they are.
Bytes mutate_onnx(std::span<const std::byte> file, Random& random, const MutateBytes& raw);
/// A part of `from` in the place of one of the same kind in `into`.
Bytes cross_onnx(std::span<const std::byte> into, std::span<const std::byte> from, Random& random);

/// Nodes, tensors and constants of an .espdl, or numbers where they stand in its FlatBuffer, which
/// stays valid.
Bytes mutate_espdl(std::span<const std::byte> file, Random& random, const MutateBytes& raw);

/// Chunks of a PNG get the checksums that their content needs; others stay as they are.
void mend_png(std::span<std::byte> file);

template <typename All>
auto& any_of(All&& all, Random& random) {
  return all[static_cast<std::size_t>(random.below(std::size(all)))];
}

/// Numbers at which programs break, and small ones.
std::int64_t odd_number(Random& random);
float odd_float(Random& random);

}  // namespace espquant::test
