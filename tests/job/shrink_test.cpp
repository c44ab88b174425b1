#include "job/shrink.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "onnx/export.h"
#include "tests/support/network.h"
#include "tests/support/temporary_folder.h"

namespace espquant::job {
namespace {

/// A small classifier and pictures for it, in a folder.
ShrinkJob small_job(const test::TemporaryFolder& folder) {
  test::Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const auto layer = [&](ValueId v, std::int64_t from, std::int64_t to) {
    return net.node("Relu",
                    {net.node("Conv", {v, net.random({to, from, 1, 1}), net.random({to})})});
  };
  const ValueId pooled =
      net.node("GlobalAveragePool", {layer(layer(layer(x, 3, 48), 48, 32), 32, 16)});
  const Graph graph = net.finish(
      {net.node("Gemm", {net.node("Flatten", {pooled}), net.random({16, 4}), net.random({4})})});
  ShrinkJob job;
  job.quantize.model = folder.path("small.onnx");
  OutputFiles files;
  files.add(job.quantize.model, onnx::export_model(graph));
  files.commit();
  auto arrays = std::make_shared<data::NamedArrays>();
  (*arrays)["x"] = test::random_tensor({64, 3, 8, 8}, 7);
  job.quantize.calib.path = "pictures";
  job.quantize.calib.arrays = std::move(arrays);
  job.quantize.report_samples = 4;
  job.blocks = false;
  job.budget.latency_share = 0.8;
  job.steps = 300;
  return job;
}

TEST(Shrink, GoesOnToTheSameNetworkWhereItWasStopped) {
  const test::TemporaryFolder folder;
  ShrinkJob job = small_job(folder);
  std::vector<ShrinkCheckpoint> kept;
  job.keep = [&](const ShrinkCheckpoint& checkpoint) { kept.push_back(checkpoint); };
  const ShrunkJob whole = shrink(job, ignored);
  ASSERT_EQ(kept.size(), 3U);  // the choice, and two rounds
  EXPECT_EQ(kept[1].progress.rounds, 1);
  write_checkpoint(kept[1], folder.path("."), "state");
  job.resumed = read_checkpoint(folder.path("."), "state");
  const ShrunkJob resumed = shrink(job, ignored);
  ASSERT_EQ(kept.size(), 4U);
  EXPECT_EQ(kept[3].onnx, kept[2].onnx);
  EXPECT_EQ(resumed.shrunk.compressed.removed.size(), whole.shrunk.compressed.removed.size());
  EXPECT_EQ(json_of(resumed, {})["removed"], json_of(whole, {})["removed"]);

  job.budget.latency_share = 0.7;
  EXPECT_THROW(shrink(job, ignored), Error);
}

TEST(ShrinkCheckpoint, IsReadAsItWasWritten) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(read_checkpoint(folder.path("."), "none"), Error);
  ShrinkCheckpoint checkpoint;
  checkpoint.onnx = {std::byte{1}, std::byte{2}};
  checkpoint.progress = {2, 500};
  checkpoint.compressed.met = true;
  checkpoint.compressed.blocks.push_back({{"a", "b"}, {1.5, 2, 3}, 0.25});
  checkpoint.compressed.removed.push_back({{"c"}, 32, 16, {0.5, 1, 2}, 0.125});
  checkpoint.trials.push_back({1, 16, 0.5, 0.25, true});
  checkpoint.sparse.emplace();
  checkpoint.sparse->layers.push_back({"c", 10, 5});
  checkpoint.fingerprint = "0123";
  write_checkpoint(checkpoint, folder.path("."), "state");
  const ShrinkCheckpoint read = read_checkpoint(folder.path("."), "state");
  EXPECT_EQ(read.onnx, checkpoint.onnx);
  EXPECT_EQ(read.progress.rounds, 2);
  EXPECT_EQ(read.progress.steps, 500);
  EXPECT_EQ(read.fingerprint, "0123");
  EXPECT_EQ(json_of(read.compressed), json_of(checkpoint.compressed));
  EXPECT_EQ(json_of(read.trials), json_of(checkpoint.trials));
  EXPECT_EQ(json_of(*read.sparse), json_of(*checkpoint.sparse));
  EXPECT_TRUE(read.trials[0].chosen);

  std::filesystem::resize_file(checkpoint_state(folder.path("."), "state"), 20);
  EXPECT_THROW(read_checkpoint(folder.path("."), "state"), Error);
}

TEST(PruneGoal, IsAShareOrALoss) {
  EXPECT_EQ(prune_goal("60%").first, 0.6);
  EXPECT_FALSE(prune_goal("60%").second);
  EXPECT_EQ(prune_goal("noise=1%").second, 0.01);
  for (const char* wrong : {"60", "0%", "100%", "noise=1", "noise=0%", "x%", ""})
    EXPECT_THROW(prune_goal(wrong), Error) << wrong;
}

}  // namespace
}  // namespace espquant::job
