#include "data/npz.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"

namespace espquant::data {
namespace {

using Bytes = std::vector<std::byte>;

std::map<std::string, Tensor> example() {
  return {{"labels", Tensor::of<std::int64_t>({3}, {2, 0, 1})},
          {"x", Tensor::of<float>({3, 2}, {1, -2, 3, -4, 5, -6})}};
}

ErrorCode npz_code_of(const Bytes& archive) {
  try {
    read_npz(archive);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::Internal;
}

std::size_t find(const Bytes& bytes, std::string_view text) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return all.find(text);
}

TEST(Npz, RoundTripsStoredAndDeflated) {
  for (const bool compress : {false, true}) {
    const auto arrays = read_npz(write_npz(example(), compress));
    ASSERT_EQ(arrays.size(), 2U);
    for (const auto& [name, tensor] : example())
      EXPECT_TRUE(arrays.at(name).equals(tensor)) << name;
  }
}

TEST(Npz, RoundTripsAnArrayLargerThanAnyHeader) {
  Tensor large(DType::UInt8, {1000, 100});
  Random random(1);
  for (auto& v : large.mutable_data<std::uint8_t>())
    v = static_cast<std::uint8_t>(random.below(16));
  const Bytes archive = write_npz({{"large", large}});
  EXPECT_LT(archive.size(), 70'000U);
  EXPECT_TRUE(read_npz(archive).at("large").equals(large));
}

TEST(Npz, WideElementsMayBeReadAsFloat32) {
  // More than one piece that is converted at a time.
  Tensor doubles(DType::Float64, {70'000, 2});
  Random random(1);
  for (double& v : doubles.mutable_data<double>()) v = random.below(1 << 30) / 3.0;
  const std::map<std::string, Tensor> arrays = {
      {"doubles", doubles},
      {"longs", Tensor::of<std::int64_t>({3}, {(1LL << 40) + 1, -2, 0})},
      {"floats", Tensor::of<float>({2}, {1, 2})},
      {"bytes", Tensor::of<std::uint8_t>({2}, {1, 2})}};
  for (const bool compress : {false, true}) {
    const Npz npz(write_npz(arrays, compress));
    for (const char* name : {"doubles", "longs"}) {
      EXPECT_TRUE(npz.read(name, Wide::ToFloat32).equals(arrays.at(name).cast(DType::Float32)));
      EXPECT_TRUE(npz.read(name).equals(arrays.at(name)));
    }
    for (const char* name : {"floats", "bytes"})
      EXPECT_TRUE(npz.read(name, Wide::ToFloat32).equals(arrays.at(name)));
  }
}

TEST(Npz, FilesAreReadAsBytesInMemoryAre) {
  const test::TemporaryFolder folder;
  for (const bool compress : {false, true}) {
    const Bytes archive = write_npz(example(), compress);
    const auto path = folder.root() / "a.npz";
    OutputFiles files;
    files.add(path, archive);
    files.commit();
    for (const auto& [name, tensor] : read_npz(path))
      EXPECT_TRUE(tensor.equals(example().at(name)));
    const Npz npz = Npz::open(path);
    std::filesystem::resize_file(path, archive.size() / 4);
    try {
      npz.read("x");
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Malformed);
      EXPECT_EQ(error.file(), path.string());
      EXPECT_NE(error.message().find("shorter"), std::string::npos);
    }
  }
}

TEST(Npz, EqualContentGivesEqualBytes) { EXPECT_EQ(write_npz(example()), write_npz(example())); }

TEST(Npz, ReadsHeadersWithoutElements) {
  const Npz npz(write_npz(example()));
  EXPECT_EQ(npz.names(), (std::vector<std::string>{"labels", "x"}));
  EXPECT_EQ(npz.header("x").shape, (Shape{3, 2}));
  EXPECT_EQ(npz.header("labels").dtype, DType::Int64);
}

TEST(Npz, NamesTheArraysWhenOneIsMissing) {
  const Npz npz(write_npz(example()));
  try {
    npz.read("lables");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadData);
    EXPECT_NE(error.message().find("labels, x"), std::string::npos);
    EXPECT_NE(error.remedy().find("'labels'"), std::string::npos);
  }
}

TEST(Npz, RefusesADamagedElement) {
  Bytes archive = write_npz(example(), false);
  archive[find(archive, "\x93NUMPY") + 130] ^= std::byte{1};
  EXPECT_EQ(npz_code_of(archive), ErrorCode::Malformed);
}

TEST(Npz, RefusesEveryTruncation) {
  const Bytes archive = write_npz(example());
  for (std::size_t n = 0; n < archive.size(); ++n)
    EXPECT_EQ(npz_code_of({archive.begin(), archive.begin() + static_cast<std::ptrdiff_t>(n)}),
              ErrorCode::Malformed);
}

TEST(Npz, SurvivesEveryFlippedByte) {
  for (const bool compress : {false, true}) {
    const Bytes archive = write_npz(example(), compress);
    for (std::size_t i = 0; i < archive.size(); ++i) {
      for (const int mask : {0x01, 0x80, 0xFF}) {
        Bytes damaged = archive;
        damaged[i] ^= static_cast<std::byte>(mask);
        try {
          read_npz(damaged);
        } catch (const Error& error) {
          EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
        }
      }
    }
  }
}

TEST(Npz, RefusesSizesThatDeflateCannotReach) {
  Bytes archive = write_npz({{"x", Tensor(DType::UInt8, {16})}});
  const std::size_t entry = find(archive, "PK\x01\x02");
  const std::uint32_t huge = 0x7FFFFFFF;
  std::memcpy(archive.data() + entry + 24, &huge, 4);
  EXPECT_EQ(npz_code_of(archive), ErrorCode::Malformed);
}

TEST(Npz, LimitsWhatAnArchiveExpandsTo) {
  const Bytes archive =
      write_npz({{"a", Tensor(DType::UInt8, {600})}, {"b", Tensor(DType::UInt8, {600})}});
  EXPECT_NO_THROW(Npz(archive, 2000));
  try {
    Npz(archive, 1400);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadData);
  }
}

TEST(Npz, RefusesOverlappingMembers) {
  Bytes archive =
      write_npz({{"a", Tensor(DType::UInt8, {8})}, {"b", Tensor(DType::UInt8, {8})}}, false);
  const std::size_t first = find(archive, "PK\x01\x02");
  const std::size_t second = first + 46 + 5;
  const std::uint32_t same_place = 0;
  std::memcpy(archive.data() + second + 42, &same_place, 4);
  EXPECT_EQ(npz_code_of(archive), ErrorCode::Malformed);
}

TEST(Npz, RefusesEncryptionAndOtherMethods) {
  for (const std::size_t field : {std::size_t{8}, std::size_t{10}}) {
    Bytes archive = write_npz(example());
    archive[find(archive, "PK\x01\x02") + field] ^= std::byte{1};
    EXPECT_EQ(npz_code_of(archive), ErrorCode::Unsupported);
  }
}

TEST(Npz, RefusesMembersThatAreNoArrays) {
  const std::vector<std::pair<std::string, Bytes>> members = {{"notes.txt", Bytes(3)}};
  EXPECT_EQ(npz_code_of(write_zip(members, false)), ErrorCode::Malformed);
}

// zipfile(force_zip64), as numpy.savez calls it, with the directory's sizes moved to the extra
// field.
TEST(Npz, ReadsZip64Fields) {
  const Tensor tensor = Tensor::of<std::uint8_t>({2}, {7, 9});
  Bytes archive = write_npz({{"x", tensor}}, false);
  const std::size_t entry = find(archive, "PK\x01\x02"), end = find(archive, "PK\x05\x06");
  std::uint32_t size = 0;
  std::memcpy(&size, archive.data() + entry + 24, 4);
  std::memset(archive.data() + entry + 20, 0xFF, 8);
  archive[entry + 30] = std::byte{20};
  Bytes extra(20);
  extra[0] = std::byte{1};
  extra[2] = std::byte{16};
  std::memcpy(extra.data() + 4, &size, 4);
  std::memcpy(extra.data() + 12, &size, 4);
  std::uint32_t directory_size = 0;
  std::memcpy(&directory_size, archive.data() + end + 12, 4);
  directory_size += 20;
  std::memcpy(archive.data() + end + 12, &directory_size, 4);
  archive.insert(archive.begin() + static_cast<std::ptrdiff_t>(entry + 46 + 5), extra.begin(),
                 extra.end());
  EXPECT_TRUE(read_npz(archive).at("x").equals(tensor));
}

TEST(Npz, ReadsArchivesOfNumPy) {
  ESPQUANT_NEEDS_SHARED("data/cifar10_calib500.npz");
  const auto cifar = read_npz(test::shared_dir() / "data/cifar10_calib500.npz");
  EXPECT_EQ(cifar.at("images").shape(), (Shape{500, 32, 32, 3}));
  EXPECT_EQ(cifar.at("images").dtype(), DType::UInt8);
  const auto words = read_npz(test::shared_dir() / "data/sww45.npz");
  EXPECT_EQ(words.at("specs").shape(), (Shape{45, 30, 1, 40}));
}

TEST(Npz, NamesBeyondAsciiSayThatTheyAreUtf8) {
  const auto archive = write_npz({{"größe", Tensor::scalar(1.0F)}}, false);
  // The flags of the first local header (APPNOTE 4.4.4: bit 11).
  EXPECT_EQ(std::to_integer<int>(archive.at(7)), 8);
  EXPECT_EQ(read_npz(archive).begin()->first, "größe");
  EXPECT_EQ(std::to_integer<int>(write_npz({{"size", Tensor::scalar(1.0F)}}, false).at(7)), 0);
}

}  // namespace
}  // namespace espquant::data
