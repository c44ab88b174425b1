#include "espdl/filter_layout.h"

#include <gtest/gtest.h>

namespace espquant::espdl {
namespace {

/// Element n*1000 + y*100 + x*10 + c, so that a place can be read off.
Tensor labelled(const Shape& s) {
  Tensor t(DType::Int16, s);
  auto element = t.mutable_data<std::int16_t>().begin();
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t y = 0; y < s[1]; ++y)
      for (std::int64_t x = 0; x < s[2]; ++x)
        for (std::int64_t c = 0; c < s[3]; ++c)
          *element++ = static_cast<std::int16_t>(n * 1000 + y * 100 + x * 10 + c);
  return t;
}

TEST(FilterLayout, VectorsOfOutputChannelsAreInnermostAndTheRestFollowsOneByOne) {
  const Tensor packed = pack_filter(labelled({10, 1, 2, 3}), false, 8);
  EXPECT_EQ(packed.shape(), (Shape{1, 2, 3, 10}));
  const auto q = packed.data<std::int16_t>();
  EXPECT_EQ(q[0], 0);
  EXPECT_EQ(q[7], 7000);
  EXPECT_EQ(q[8], 1);       // channel 1 of output 0
  EXPECT_EQ(q[3 * 8], 10);  // the next column
  EXPECT_EQ(q[48], 8000);   // output 8 alone
  EXPECT_EQ(q[49], 8001);
  EXPECT_EQ(q[54], 9000);
}

TEST(FilterLayout, DepthwiseKeepsTheRestTogether) {
  const Tensor packed = pack_filter(labelled({10, 1, 2, 1}), true, 8);
  EXPECT_EQ(packed.shape(), (Shape{1, 2, 10, 1}));
  const auto q = packed.data<std::int16_t>();
  EXPECT_EQ(q[8], 10);
  EXPECT_EQ(q[16], 8000);
  EXPECT_EQ(q[17], 9000);
  EXPECT_EQ(q[18], 8010);
}

TEST(FilterLayout, ThePortableKernelsReadPlainFilters) {
  const auto dense = pack_filter(labelled({3, 1, 2, 2}), false, 1);
  EXPECT_EQ(dense.data<std::int16_t>()[4], 1000);
  const auto depthwise = pack_filter(labelled({3, 1, 2, 1}), true, 1);
  EXPECT_EQ(depthwise.data<std::int16_t>()[1], 1000);
  EXPECT_EQ(depthwise.data<std::int16_t>()[3], 10);
}

TEST(FilterLayout, UnpackingGivesTheFilterBack) {
  for (const int lanes : {1, 8, 16}) {
    const Tensor dense = labelled({19, 2, 3, 5}), depthwise = labelled({19, 2, 3, 1});
    EXPECT_TRUE(unpack_filter(pack_filter(dense, false, lanes), false, lanes).equals(dense));
    EXPECT_TRUE(unpack_filter(pack_filter(depthwise, true, lanes), true, lanes).equals(depthwise));
  }
}

TEST(FilterLayout, OneDimensionAndMatricesLackTheLeadingExtents) {
  const Tensor filter = labelled({9, 1, 3, 2});
  EXPECT_TRUE(
      unpack_filter(pack_filter(filter, false, 8).reshaped({3, 2, 9}), false, 8).equals(filter));
  const Tensor matrix = labelled({9, 1, 1, 6});
  EXPECT_TRUE(
      unpack_filter(pack_filter(matrix, false, 8).reshaped({6, 9}), false, 8).equals(matrix));
}

TEST(FilterLayout, RefusesWhatIsNoFilter) {
  EXPECT_THROW(pack_filter(Tensor(DType::Int8, {2, 2}), false, 16), Error);
  EXPECT_THROW(pack_filter(Tensor(DType::Float32, {2, 1, 1, 2}), false, 16), Error);
  EXPECT_THROW(pack_filter(Tensor(DType::Int8, {2, 1, 1, 2}), true, 16), Error);
  EXPECT_THROW(unpack_filter(Tensor(DType::Int8, {2}), false, 16), Error);
  EXPECT_THROW(unpack_filter(Tensor(DType::Int8, {3, 3, 4, 2}), true, 16), Error);
}

TEST(FilterLayout, IsNamedInTheDocString) {
  EXPECT_EQ(filter_layout_doc(2, false, 16, 32), "layout ==> (N/16)HWC16");
  EXPECT_EQ(filter_layout_doc(2, true, 8, 12), "layout ==> (N/8)HWC8_UNALIGNED");
  EXPECT_EQ(filter_layout_doc(1, false, 16, 16), "layout ==> (N/16)WC16");
  EXPECT_EQ(filter_layout_doc(2, false, 1, 5), "layout ==> NHWC");
  EXPECT_EQ(filter_layout_doc(1, true, 1, 5), "layout ==> WCN");
}

TEST(FilterLayoutDoc, IsReadBack) {
  using Kind = FilterLayout::Kind;
  for (const int spatial : {1, 2})
    for (const bool depthwise : {false, true})
      for (const int lanes : {1, 8, 16})
        for (const int channels : {32, 33}) {
          const std::string doc = filter_layout_doc(spatial, depthwise, lanes, channels);
          const auto layout = parse_filter_layout(doc);
          ASSERT_TRUE(layout) << doc;
          EXPECT_EQ(layout->lanes, lanes) << doc;
          EXPECT_EQ(layout->kind, lanes > 1   ? Kind::Blocked
                                  : depthwise ? Kind::Depthwise
                                              : Kind::Dense)
              << doc;
        }
}

TEST(FilterLayoutDoc, OlderSpellingIsRead) {
  EXPECT_EQ(parse_filter_layout("layout ==> N16HWC16_UNALIGNED")->lanes, 16);
  EXPECT_EQ(parse_filter_layout("layout ==> N8HWC8")->lanes, 8);
}

TEST(FilterLayoutDoc, OtherTextsSayNothing) {
  for (const char* doc : {"", "layout ==> UNK", "NHWC", "layout ==> (N/16)HWC8", "layout ==> NCHW"})
    EXPECT_FALSE(parse_filter_layout(doc)) << doc;
}

}  // namespace
}  // namespace espquant::espdl
