#include "espdl/reader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "base/file.h"
#include "espdl/espdl_generated.h"
#include "espdl/writer.h"
#include "tests/espdl/expect_error.h"
#include "tests/espdl/sample_model.h"
#include "tests/support/temporary_folder.h"

/// Files that our own writer would not write, built by hand: Identity of one tensor, and one
/// parameter.
namespace espquant::espdl {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
template <typename T>
using Ref = flatbuffers::Offset<T>;

Ref<fbs::ValueInfo> value(Builder& b, const char* name,
                          fbs::ElementType type = fbs::ElementType::Int8, std::int64_t extent = 4,
                          fbs::ExtentKind kind = fbs::ExtentKind::Value) {
  const auto dim = fbs::CreateDimension(b, fbs::CreateExtent(b, kind, extent));
  const auto shape = fbs::CreateDimensions(b, b.CreateVector(&dim, 1));
  const auto info =
      fbs::CreateTypeInfo(b, fbs::Type::tensor, fbs::CreateTensorType(b, type, shape).Union());
  return fbs::CreateValueInfo(b, b.CreateString(name), info);
}

struct Parts {
  std::function<Ref<fbs::Tensor>(Builder&)> parameter = {};
  std::function<Ref<fbs::Attribute>(Builder&)> attribute = {};
  std::function<Ref<fbs::ValueInfo>(Builder&)> described = {};
  int times = 1;  ///< how often the part appears
  Edition edition = Edition::Edl2;
};

std::vector<std::byte> file_of(const Parts& parts) {
  Builder b;
  b.ForceVectorAlignment(16, 1, 16);
  const auto repeat = [&](const auto& make) {
    std::vector<decltype(make(b))> refs;
    for (int i = 0; make && i < parts.times; ++i) refs.push_back(make(b));
    return b.CreateVector(refs);
  };
  const auto parameters = repeat(parts.parameter);
  const auto attributes = repeat(parts.attribute);
  const auto described = repeat(parts.described);
  const auto inputs = b.CreateVector(std::vector{value(b, "x")});
  const auto outputs = b.CreateVector(std::vector{value(b, "y")});
  const auto node =
      fbs::CreateNode(b, b.CreateVectorOfStrings({"x"}), b.CreateVectorOfStrings({"y"}),
                      b.CreateString("node"), b.CreateString("Identity"), attributes);
  const auto graph = fbs::CreateGraph(b, b.CreateVector(&node, 1), b.CreateString("g"), parameters,
                                      0, inputs, outputs, described);
  b.Finish(fbs::CreateModel(b, 8, 0, 0, 0, 0, 0, graph));
  return seal(std::as_bytes(std::span(b.GetBufferPointer(), b.GetSize())), parts.edition);
}

Model read(const Parts& parts) { return read_model(file_of(parts)); }

/// What a tensor of the file consists of; `add` fills in the elements.
auto tensor(
    std::vector<std::int64_t> dims, fbs::ElementType type, std::vector<std::int64_t> exponents,
    std::function<void(Builder&, std::function<void(fbs::TensorBuilder&)>&)> make_data = {}) {
  return [=](Builder& b) {
    const auto name = b.CreateString("p");
    const auto d = b.CreateVector(dims);
    const auto e = b.CreateVector(exponents);
    std::function<void(fbs::TensorBuilder&)> add = [](auto&) {};
    if (make_data) make_data(b, add);
    fbs::TensorBuilder t(b);
    t.add_name(name);
    t.add_dims(d);
    t.add_element_type(type);
    t.add_exponents(e);
    add(t);
    return t.Finish();
  };
}

/// `count` as stored in the file, over `bytes`.
auto raw(std::vector<std::uint8_t> bytes, std::size_t count) {
  return [=](Builder& b, std::function<void(fbs::TensorBuilder&)>& add) {
    b.ForceVectorAlignment(bytes.size(), 1, 16);
    b.StartVector(bytes.size(), 1);
    b.PushBytes(bytes.data(), bytes.size());
    const Ref<flatbuffers::Vector<std::uint8_t>> data = b.EndVector(count);
    add = [data](fbs::TensorBuilder& t) { t.add_raw_data(data); };
  };
}

auto int32_list(std::vector<std::int32_t> values) {
  return [=](Builder& b, std::function<void(fbs::TensorBuilder&)>& add) {
    const auto data = b.CreateVector(values);
    add = [data](fbs::TensorBuilder& t) { t.add_int32_data(data); };
  };
}

std::vector<std::uint8_t> bytes_up_to(std::uint8_t n) {
  std::vector<std::uint8_t> bytes(n);
  for (std::uint8_t i = 0; i < n; ++i) bytes[i] = i;
  return bytes;
}

void expect_malformed(const std::string& part, const Parts& parts) {
  expect_error(ErrorCode::Malformed, part, [&] { read(parts); });
}

TEST(Reader, TheFirstEditionCountsElementsInBytes) {
  Parts parts;
  parts.edition = Edition::Edl1;
  parts.parameter = tensor({3, 7}, fbs::ElementType::Int8, {-3}, raw(bytes_up_to(21), 21));
  const Model model = read(parts);
  const auto* p = model.find_initializer("p");
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(p->data.data<std::int8_t>()[20], 20);
  EXPECT_EQ(p->exponent(), -3);
}

TEST(Reader, TypedListsServeAsElements) {
  Parts parts;
  parts.parameter = tensor({2}, fbs::ElementType::Int8, {0}, int32_list({-128, 127}));
  const Model model = read(parts);
  EXPECT_TRUE(model.initializers[0].data.equals(Tensor::of<std::int8_t>({2}, {-128, 127})));
}

TEST(Reader, ElementsMustFitDimsAndType) {
  const auto int8 = fbs::ElementType::Int8;
  expect_malformed("'p'", {tensor({17}, int8, {}, raw(bytes_up_to(16), 1))});
  expect_malformed("'p'", {tensor({16}, int8, {}, raw(bytes_up_to(32), 2))});
  expect_malformed("beyond the end", {tensor({16}, int8, {}, raw(bytes_up_to(64), 60))});
  expect_malformed("'p'", {tensor({4}, int8, {}, int32_list({1, 2, 3}))});
  expect_malformed("128 does not fit", {tensor({1}, int8, {}, int32_list({128}))});
  expect_malformed("exceed the file", {tensor({1 << 30, 4}, int8, {}, {})});
  expect_malformed("bool", {tensor({3}, fbs::ElementType::Bool, {}, raw(bytes_up_to(16), 1))});
  EXPECT_THROW(read({tensor({-1}, int8, {})}), Error);
  EXPECT_THROW(read({tensor({std::int64_t{1} << 62, 4}, int8, {})}), Error);
}

TEST(Reader, ExponentsMustFitTheTensor) {
  const auto data = raw(bytes_up_to(16), 1);
  const auto int8 = fbs::ElementType::Int8;
  EXPECT_EQ(read({tensor({2, 8}, int8, std::vector<std::int64_t>(8, -1), data)})
                .initializers[0]
                .exponents.size(),
            8U);
  expect_malformed("3 exponents", {tensor({2, 8}, int8, {1, 2, 3}, data)});
  expect_malformed("exponent 5000000000", {tensor({2, 8}, int8, {5000000000}, data)});
}

TEST(Reader, NumbersOutsideTheEnumsAreRefused) {
  expect_malformed("element type 99", {tensor({1}, static_cast<fbs::ElementType>(99), {})});
  expect_malformed("element type 0",
                   {{}, {}, [](Builder& b) { return value(b, "v", fbs::ElementType::Undefined); }});
  expect_malformed("attribute type 77", {{}, [](Builder& b) {
                                           return fbs::CreateAttribute(
                                               b, b.CreateString("a"),
                                               static_cast<fbs::AttributeType>(77));
                                         }});
  expect_error(ErrorCode::Unsupported, "not a number", [] {
    read({{}, {}, [](Builder& b) {
            return value(b, "v", fbs::ElementType::Int8, 4, fbs::ExtentKind::Parameter);
          }});
  });
}

TEST(Reader, DuplicatesAreRefused) {
  Parts parameters{tensor({1}, fbs::ElementType::Int8, {}, int32_list({1}))};
  parameters.times = 2;
  expect_malformed("'p'", parameters);
  Parts attributes;
  attributes.attribute = [](Builder& b) {
    return fbs::CreateAttribute(b, b.CreateString("a"), fbs::AttributeType::Ints);
  };
  attributes.times = 2;
  expect_malformed("node 'node': attribute 'a' is given twice", attributes);
}

TEST(Reader, DescriptionsOfOneTensorMustAgree) {
  EXPECT_EQ(read({{}, {}, [](Builder& b) { return value(b, "x"); }}).values.size(), 2U);
  expect_malformed("'x'",
                   {{}, {}, [](Builder& b) { return value(b, "x", fbs::ElementType::Int16); }});
}

TEST(Reader, AnAttributeNeedsItsValue) {
  for (const auto type :
       {fbs::AttributeType::Float, fbs::AttributeType::Int, fbs::AttributeType::Tensor})
    expect_malformed(
        "without its value",
        {{}, [type](Builder& b) { return fbs::CreateAttribute(b, b.CreateString("a"), type); }});
}

/// A list of floats as ESP-PPQ writes it: float64 on multiples of 8, counted as if they were
/// float32.
auto wide_floats(std::vector<double> values) {
  return [=](Builder& b) {
    const auto name = b.CreateString("scales");
    b.ForceVectorAlignment(values.size() * sizeof(double), 1, 8);
    b.StartVector(values.size() * sizeof(double), 1);
    b.PushBytes(reinterpret_cast<const std::uint8_t*>(values.data()),
                values.size() * sizeof(double));
    const Ref<flatbuffers::Vector<float>> list = b.EndVector(values.size());
    fbs::AttributeBuilder a(b);
    a.add_name(name);
    a.add_type(fbs::AttributeType::Floats);
    a.add_floats(list);
    return a.Finish();
  };
}

TEST(Reader, FloatListsOfEspPpqAreReadAsTheFloat64TheyHold) {
  EXPECT_EQ(read({{}, wide_floats({1, 1, 2, 2})}).nodes[0].get_floats("scales"),
            (std::vector<float>{1, 1, 2, 2}));
  EXPECT_EQ(read({{}, wide_floats({0.1F})}).nodes[0].get_floats("scales"),
            (std::vector<float>{0.1F}));
}

TEST(Reader, TrueFloatListsAreReadAsFloat32) {
  for (const auto& values :
       {std::vector<float>{0.1F}, {1, 1, 2, 2}, {0.5F, 0.25F, 3}, {-1, 7.5F}}) {
    const Parts parts{{}, [&](Builder& b) {
                        const auto name = b.CreateString("scales");
                        b.ForceVectorAlignment(values.size() * sizeof(float), 4, 8);
                        const auto list = b.CreateVector(values);
                        return fbs::CreateAttribute(b, name, fbs::AttributeType::Floats, nullptr,
                                                    nullptr, 0, 0, list);
                      }};
    EXPECT_EQ(read(parts).nodes[0].get_floats("scales"), values);
  }
}

TEST(Reader, ErrorsNameTheFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("cut.espdl");
  {
    OutputFiles files;
    files.add(path, std::string_view("EDL2 but no more"));
    files.commit();
  }
  expect_error(ErrorCode::Malformed, path, [&] { read_model_file(path); });
  std::filesystem::remove(path);
  expect_error(ErrorCode::Io, path, [&] { read_model_file(path); });
}

}  // namespace
}  // namespace espquant::espdl
