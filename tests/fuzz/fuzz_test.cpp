#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "espdl/container.h"
#include "espdl/espdl_generated.h"
#include "onnx_schema.pb.h"
#include "tests/fuzz/mutate/mutator.h"
#include "tests/fuzz/seeds.h"
#include "tests/fuzz/targets/targets.h"
#include "tests/support/source_dir.h"

/// The fuzz targets on inputs that once broke something, on sound ones, and on some that the
/// mutators make of these. scripts/fuzz.sh runs them without end.
namespace espquant::test {
namespace {

/// A byte or two.
MutateBytes byte_mutation(Random& random) {
  return [&random](Bytes& bytes) {
    if (bytes.empty()) bytes.resize(1);
    for (int i = 0; i < 2; ++i) any_of(bytes, random) = static_cast<std::byte>(random.next());
  };
}

bool is_espdl(std::string_view target) { return target == "espdl" || target == "chip"; }
bool is_onnx(std::string_view target) {
  return target == "onnx" || target == "simplify" || target == "network";
}

TEST(FuzzTargets, TakeWhatOnceBrokeThem) {
  for (const NamedTarget& target : kFuzzTargets) {
    const auto folder = source_dir() / "tests/fuzz/regressions" / target.name;
    if (!std::filesystem::exists(folder)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      EXPECT_NO_THROW(target.run(read_file(entry.path()))) << entry.path();
  }
}

class FuzzTarget : public testing::TestWithParam<NamedTarget> {};

TEST_P(FuzzTarget, TakesSoundInputs) {
  const auto seeds = fuzz_seeds(GetParam().name);
  for (std::size_t i = 0; i < seeds.size(); ++i)
    EXPECT_NO_THROW(GetParam().run(seeds[i])) << "seed " << i;
}

TEST_P(FuzzTarget, TakesWhatMutatorsMakeOfThem) {
  constexpr int kRounds = 200;
  const auto seeds = fuzz_seeds(GetParam().name);
  Random random(1);
  const MutateBytes raw = byte_mutation(random);
  for (int round = 0; round < kRounds; ++round) {
    Bytes bytes = seeds[static_cast<std::size_t>(random.below(seeds.size()))];
    for (int i = 0; i < 3; ++i) {
      if (is_onnx(GetParam().name))
        bytes = mutate_onnx(bytes, random, raw);
      else if (is_espdl(GetParam().name))
        bytes = mutate_espdl(bytes, random, raw);
      else
        raw(bytes);
      EXPECT_NO_THROW(GetParam().run(bytes)) << "round " << round;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FuzzTarget, testing::ValuesIn(kFuzzTargets),
                         [](const auto& target) { return std::string(target.param.name); });

/// What must not be asked for where a format is to stay valid.
void leave_alone(Bytes&) {}

TEST(Mutators, KeepProtocolBuffersValid) {
  Random random(2);
  const auto seeds = fuzz_seeds("onnx");
  std::size_t changed = 0;
  for (int round = 0; round < 500; ++round) {
    const Bytes& seed = seeds[static_cast<std::size_t>(random.below(seeds.size()))];
    const Bytes made = mutate_onnx(seed, random, leave_alone);
    const Bytes crossed =
        cross_onnx(seed, seeds[static_cast<std::size_t>(round) % seeds.size()], random);
    changed += made != seed ? 1 : 0;
    for (const Bytes& bytes : {made, crossed}) {
      onnx_schema::Model model;
      EXPECT_TRUE(model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    }
  }
  EXPECT_GT(changed, 350U);
}

TEST(Mutators, KeepFlatBuffersValid) {
  Random random(3);
  const auto seeds = fuzz_seeds("espdl");
  std::size_t changed = 0;
  for (int round = 0; round < 500; ++round) {
    const Bytes& seed = seeds[static_cast<std::size_t>(random.below(seeds.size()))];
    const Bytes made = mutate_espdl(seed, random, leave_alone);
    changed += made != seed ? 1 : 0;
    const auto payload = espdl::open_payload(made, espdl::Key{});
    flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(payload.bytes.data()),
                                   payload.bytes.size());
    EXPECT_TRUE(fbs::VerifyModelBuffer(verifier));
  }
  EXPECT_GT(changed, 350U);
}

}  // namespace
}  // namespace espquant::test
