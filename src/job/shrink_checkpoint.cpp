#include "job/shrink_checkpoint.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace espquant::job {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kStateFormat = 1;

Json price_json(const compress::Price& price) {
  return {
      {"milliseconds", price.milliseconds}, {"file", price.file_bytes}, {"ram", price.ram_bytes}};
}

compress::Price price_from(const Json& j) {
  return {j.at("milliseconds").get<double>(), j.at("file").get<double>(),
          j.at("ram").get<double>()};
}

compress::Compressed compressed_from(const Json& j) {
  compress::Compressed made;
  made.met = j.at("met").get<bool>();
  made.before = price_from(j.at("before"));
  made.after = price_from(j.at("after"));
  for (const Json& b : j.at("blocks"))
    made.blocks.push_back({b.at("layers").get<std::vector<std::string>>(),
                           price_from(b.at("saved")), b.at("noise_to_signal").get<double>()});
  for (const Json& r : j.at("removed"))
    made.removed.push_back({r.at("layers").get<std::vector<std::string>>(),
                            r.at("channels_before").get<std::int64_t>(),
                            r.at("channels_after").get<std::int64_t>(), price_from(r.at("saved")),
                            r.at("noise_to_signal").get<double>()});
  return made;
}

std::vector<strategy::ShrinkTrial> trials_from(const Json& j) {
  std::vector<strategy::ShrinkTrial> trials;
  for (const Json& t : j) {
    auto& trial = trials.emplace_back();
    trial.blocks = t.at("blocks").get<std::int64_t>();
    trial.channels = t.at("channels").get<std::int64_t>();
    trial.refitted = t.at("noise_to_signal_refitted").get<double>();
    trial.chosen = t.at("chosen").get<bool>();
    if (t.contains("noise_to_signal")) trial.trained = t.at("noise_to_signal").get<double>();
  }
  return trials;
}

compress::Sparsified sparse_from(const Json& j) {
  compress::Sparsified sparse;
  sparse.weights = j.at("weights").get<std::int64_t>();
  sparse.zeros = j.at("zeros").get<std::int64_t>();
  sparse.loss = j.at("noise_to_signal").get<double>();
  for (const Json& l : j.at("layers"))
    sparse.layers.push_back({l.at("name").get<std::string>(), l.at("weights").get<std::int64_t>(),
                             l.at("zeros").get<std::int64_t>()});
  return sparse;
}

}  // namespace

Json json_of(const compress::Compressed& compressed) {
  Json j;
  j["met"] = compressed.met;
  j["before"] = price_json(compressed.before);
  j["after"] = price_json(compressed.after);
  j["blocks"] = Json::array();
  for (const auto& b : compressed.blocks)
    j["blocks"].push_back(
        {{"layers", b.layers}, {"saved", price_json(b.saved)}, {"noise_to_signal", b.loss}});
  j["removed"] = Json::array();
  for (const auto& r : compressed.removed)
    j["removed"].push_back({{"layers", r.layers},
                            {"channels_before", r.before},
                            {"channels_after", r.after},
                            {"saved", price_json(r.saved)},
                            {"noise_to_signal", r.loss}});
  return j;
}

Json json_of(const std::vector<strategy::ShrinkTrial>& trials) {
  Json j = Json::array();
  for (const auto& t : trials) {
    j.push_back({{"blocks", t.blocks},
                 {"channels", t.channels},
                 {"noise_to_signal_refitted", t.refitted},
                 {"chosen", t.chosen}});
    if (t.trained) j.back()["noise_to_signal"] = *t.trained;
  }
  return j;
}

Json json_of(const compress::Sparsified& sparse) {
  Json j{{"weights", sparse.weights}, {"zeros", sparse.zeros}, {"noise_to_signal", sparse.loss}};
  j["layers"] = Json::array();
  for (const auto& l : sparse.layers)
    j["layers"].push_back({{"name", l.layer}, {"weights", l.weights}, {"zeros", l.zeros}});
  return j;
}

std::filesystem::path checkpoint_network(const std::filesystem::path& folder,
                                         const std::string& name) {
  return folder / (name + ".onnx");
}

std::filesystem::path checkpoint_state(const std::filesystem::path& folder,
                                       const std::string& name) {
  return folder / (name + ".state.json");
}

void write_checkpoint(const ShrinkCheckpoint& checkpoint, const std::filesystem::path& folder,
                      const std::string& name) {
  Json j{{"format", kStateFormat},
         {"fingerprint", checkpoint.fingerprint},
         {"rounds", checkpoint.progress.rounds},
         {"steps", checkpoint.progress.steps},
         {"compressed", json_of(checkpoint.compressed)},
         {"trials", json_of(checkpoint.trials)}};
  if (checkpoint.sparse) j["pruned"] = json_of(*checkpoint.sparse);
  OutputFiles files;
  files.add(checkpoint_network(folder, name), checkpoint.onnx);
  files.add(checkpoint_state(folder, name), j.dump(1) + "\n");
  files.commit();
}

ShrinkCheckpoint read_checkpoint(const std::filesystem::path& folder, const std::string& name) {
  const std::filesystem::path path = checkpoint_state(folder, name);
  if (!std::filesystem::exists(path))
    throw Error(ErrorCode::Io, "there is nothing to go on from")
        .file(path.string())
        .remedy(
            "--resume takes the folder that --out named, while a run that was stopped has left "
            "its state there");
  const auto bytes = read_file(path);
  ShrinkCheckpoint checkpoint;
  try {
    const Json j =
        Json::parse(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    if (j.at("format").get<int>() != kStateFormat)
      throw Error(ErrorCode::BadData, "is the state of another version").file(path.string());
    checkpoint.fingerprint = j.at("fingerprint").get<std::string>();
    checkpoint.progress = {j.at("rounds").get<std::int64_t>(), j.at("steps").get<std::int64_t>()};
    checkpoint.compressed = compressed_from(j.at("compressed"));
    checkpoint.trials = trials_from(j.at("trials"));
    if (j.contains("pruned")) checkpoint.sparse = sparse_from(j.at("pruned"));
  } catch (const Json::exception&) {
    throw Error(ErrorCode::BadData, "is not the state of a run of shrink").file(path.string());
  }
  if (checkpoint.progress.rounds < 0 || checkpoint.progress.steps < 0)
    throw Error(ErrorCode::BadData, "is not the state of a run of shrink").file(path.string());
  checkpoint.onnx = read_file(checkpoint_network(folder, name));
  return checkpoint;
}

}  // namespace espquant::job
