#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/preprocess.h"
#include "espdl/banks.h"
#include "espdl/container.h"
#include "espdl/model.h"
#include "target/target.h"

/// ESP-IDF projects that run a model on a board.
namespace espquant::deploy {

enum class App : std::uint8_t {
  SelfTest,  ///< holds the chip's outputs against the simulator's
  Minimal,   ///< loads the model and runs it once
  Serial,    ///< inputs in, outputs out
  Camera,    ///< results of what a camera sees
};

/// Where the model lies on the board.
enum class Storage : std::uint8_t { Rodata, Partition, SdCard };

/// Pictures that an input takes, and where their pixels stand in it.
struct PictureInput {
  data::Preprocess preprocess;
  /// Elements between neighbours in the stored input.
  std::int64_t row_stride = 0, column_stride = 0, channel_stride = 0;
};

/// Inputs in the order and the layout of the file, and what the simulator computes of them.
struct Sample {
  std::vector<Tensor> inputs, outputs;
  /// That computes it; the last is the model's own.
  std::size_t bank = 0;
};

struct ProjectModel {
  /// For messages and logs.
  std::string name;
  /// Of a package; empty for a file of one model.
  std::string name_in_package;
  espdl::Model model;
  /// That it takes in the file.
  std::size_t bytes = 0;
  std::vector<std::string> classes;
  /// Of the only input; nothing where it takes no pictures.
  std::optional<PictureInput> pictures;
  /// Only for App::SelfTest.
  std::vector<Sample> samples;
};

struct ProjectRequest {
  App app = App::SelfTest;
  Storage storage = Storage::Rodata;
  const Target* target = nullptr;
  /// Whether the board has PSRAM; nothing: as boards with this chip are usually sold.
  std::optional<bool> has_psram;
  /// Bytes that activations may take of the chip's own RAM where there is PSRAM beside it; a
  /// multiple of 16.
  std::size_t internal_ram = 0;
  /// Of the board; 0: as much as needed, at least what is usual.
  int flash_megabytes = 0;
  /// The .espdl or package as it is.
  std::vector<std::byte> file;
  /// What it is encrypted with.
  std::optional<espdl::Key> key;
  /// Beside the only model: a .banks file, and what it holds. Empty where there is none.
  std::vector<std::byte> banks_file;
  espdl::Banks banks;
  /// All that the application shall know, at least one.
  std::vector<ProjectModel> models;
};

/// A file of a project: its path below the folder, and its bytes.
struct ProjectFile {
  std::string path;
  std::string content;
};

struct Project {
  std::vector<ProjectFile> files;
  /// Whether the models fit into the board's RAM, in a sentence.
  std::string ram_verdict;
  bool fits_ram = true;
  int flash_megabytes = 0;
};

/// All files of the project. Equal requests give equal bytes. Throws Error(Usage) where the chip
/// cannot do what is asked for: a camera that no component drives, a flash that is too small.
Project make_project(const ProjectRequest& request);

}  // namespace espquant::deploy
