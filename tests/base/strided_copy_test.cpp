#include "base/strided_copy.h"

#include <gtest/gtest.h>

#include "base/tensor.h"

namespace espquant {
namespace {

TEST(StridedCopy, MergesAxesThatStepAlike) {
  const StridedView view = simplified({{2, 1, 3, 4}, {24, 7, 4, 1}, 5});
  EXPECT_EQ(view.extents, (std::vector<std::int64_t>{2, 12}));
  EXPECT_EQ(view.strides, (std::vector<std::int64_t>{24, 1}));
  EXPECT_EQ(view.offset, 5);
}

/// Axis by axis, one element at a time.
template <typename T>
std::vector<T> copied_plainly(const StridedView& view, const std::vector<T>& in) {
  std::vector<std::int64_t> offsets{view.offset};
  for (std::size_t axis = 0; axis < view.extents.size(); ++axis) {
    std::vector<std::int64_t> next;
    for (std::int64_t offset : offsets)
      for (std::int64_t i = 0; i < view.extents[axis]; ++i)
        next.push_back(offset + i * view.strides[axis]);
    offsets = std::move(next);
  }
  std::vector<T> out;
  for (std::int64_t offset : offsets) out.push_back(in[static_cast<std::size_t>(offset)]);
  return out;
}

template <typename T>
void expect_copied(const StridedView& view) {
  std::vector<T> in(6000);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<T>(i * 7 + 3);
  const std::vector<T> expected = copied_plainly(view, in);
  std::vector<T> out(expected.size());
  strided_copy(simplified(view), sizeof(T), reinterpret_cast<const std::byte*>(in.data()),
               reinterpret_cast<std::byte*>(out.data()));
  EXPECT_EQ(out, expected);
}

TEST(StridedCopy, CopiesWhatAPlainLoopDoes) {
  for (const StridedView& view : {
           StridedView{{5, 70, 3}, {210, 3, 1}, 0},       // as it stands
           StridedView{{5, 3, 70}, {210, 1, 3}, 0},       // planes transposed
           StridedView{{70, 45}, {1, 70}, 0},             // by blocks
           StridedView{{4, 9, 8, 2}, {1, 4, 72, 36}, 2},  // every axis moves
           StridedView{{6, 10}, {-50, 4}, 400},           // backwards, with gaps
           StridedView{{3, 8}, {0, 2}, 1},                // repeated
           StridedView{{}, {}, 9},                        // one element
           StridedView{{3, 0, 2}, {6, 2, 1}, 0},          // none
       }) {
    expect_copied<std::uint8_t>(view);
    expect_copied<std::uint16_t>(view);
    expect_copied<std::uint32_t>(view);
    expect_copied<std::uint64_t>(view);
  }
}

TEST(Transposed, MovesAxes) {
  const std::vector<float> values{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const Tensor t = Tensor::of<float>({1, 2, 3, 2}, std::span(values));
  const Tensor last = t.transposed(std::array<std::int64_t, 4>{0, 2, 3, 1});
  EXPECT_EQ(last.shape(), (Shape{1, 3, 2, 2}));
  const std::vector<float> expected{0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11};
  EXPECT_TRUE(last.equals(Tensor::of<float>({1, 3, 2, 2}, std::span(expected))));
}

}  // namespace
}  // namespace espquant
