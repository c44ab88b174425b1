#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>
#include <set>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "data/dataset_sources.h"
#include "data/image.h"

namespace espquant::data {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

/// Image files below a folder, relative to it, in the order of their paths' bytes.
struct Listing {
  std::vector<fs::path> images;
  /// By extension, in lower case.
  std::map<std::string, std::size_t> others;

  /// "3 .bmp, 1 .txt"
  std::string others_text() const {
    std::string text;
    for (const auto& [extension, count] : others)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count,
                          extension.empty() ? "without extension" : extension);
    return text;
  }
};

Listing list_images(const fs::path& folder) try {
  Listing listing;
  for (fs::recursive_directory_iterator it(folder), end; it != end; ++it) {
    if (is_hidden(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      if (has_image_extension(it->path())) {
        listing.images.push_back(it->path().lexically_relative(folder));
      } else {
        std::string extension = it->path().extension().string();
        std::ranges::transform(extension, extension.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        ++listing.others[extension];
      }
    }
  }
  std::ranges::sort(listing.images, {}, [](const fs::path& p) { return p.generic_string(); });
  return listing;
} catch (const fs::filesystem_error& error) {
  throw Error(ErrorCode::Io, fmt::format("cannot list the folder: {}", error.code().message()))
      .file(error.path1().string());
}

/// The number of each class folder: its name if all names are whole numbers, else its place among
/// them.
std::map<std::string, std::int64_t> class_numbers(const std::set<std::string>& names) {
  std::map<std::string, std::int64_t> numbers;
  std::set<std::int64_t> taken;
  for (const std::string& name : names) {
    std::int32_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size() || number < 0) {
      numbers.clear();
      break;
    }
    numbers.emplace(name, number);
    if (!taken.insert(number).second)
      throw Error(ErrorCode::BadData, fmt::format("two class folders of the number {}", number));
  }
  if (numbers.empty())
    for (const std::string& name : names)
      numbers.emplace(name, static_cast<std::int64_t>(numbers.size()));
  return numbers;
}

/// Where the names stand among the network's.
std::map<std::string, std::int64_t> places_in(std::span<const std::string> classes,
                                              const std::set<std::string>& names) {
  std::map<std::string, std::int64_t> numbers;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(classes, name);
    if (found == classes.end()) {
      const std::string near = nearest_name(name, classes);
      throw Error(ErrorCode::BadData, fmt::format("the folder '{}' is none of the classes", name))
          .remedy(near.empty() ? fmt::format("They are {}", fmt::join(classes, ", "))
                               : fmt::format("Did you mean '{}'?", near));
    }
    numbers.emplace(name, found - classes.begin());
  }
  return numbers;
}

/// Folders of data sets as YOLO, VOC and Keras lay them out.
bool is_part_of_a_data_set(const std::string& name) {
  static constexpr std::array<std::string_view, 12> kParts = {
      "annotations", "images", "imgs",     "jpegimages", "labels", "test",
      "testing",     "train",  "training", "val",        "valid",  "validation"};
  std::string lower = name;
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kParts, lower) != kParts.end();
}

class ImageFiles : public Dataset {
 public:
  ImageFiles(fs::path folder, Listing listing, const InputSpec& input, const Preprocess& preprocess,
             std::span<const std::string> classes)
      : folder_(std::move(folder)),
        images_(std::move(listing.images)),
        shape_(sample_shape(input)),
        preprocess_(preprocess) {
    check_takes_images(input, preprocess);
    const std::string others = listing.others_text();
    if (images_.empty())
      throw Error(ErrorCode::BadData,
                  others.empty() ? "no images" : fmt::format("no images that are read: {}", others))
          .remedy("give a folder that holds JPEG or PNG files");
    if (!others.empty())
      warnings_.push_back(
          fmt::format("files that are neither JPEG nor PNG are left out: {}", others));
    number_classes(classes);
  }

  std::size_t size() const override { return images_.size(); }
  std::string sample_name(std::size_t index) const override {
    return images_[index].generic_string();
  }
  std::optional<std::vector<std::int64_t>> labels() const override { return labels_; }
  Tensor picture(std::size_t index) const override { return read_image(folder_ / images_[index]); }

 protected:
  std::vector<Tensor> read(std::size_t index) const override {
    try {
      return {apply(preprocess_, picture(index)).reshaped(shape_)};
    } catch (Error& error) {
      throw error.file((folder_ / images_[index]).string());
    }
  }

 private:
  void number_classes(std::span<const std::string> classes) {
    const bool all_in_folders =
        std::ranges::all_of(images_, [](const fs::path& image) { return image.has_parent_path(); });
    if (!all_in_folders) return;
    std::set<std::string> names;
    for (const fs::path& image : images_) names.insert(image.begin()->string());
    if (classes.empty() && std::ranges::all_of(names, is_part_of_a_data_set)) {
      warnings_.push_back(fmt::format(
          "the folders {} are taken for parts of a data set, not for classes: there are no labels",
          fmt::join(names, ", ")));
      return;
    }
    const auto numbers = classes.empty() ? class_numbers(names) : places_in(classes, names);
    labels_.emplace();
    for (const fs::path& image : images_) labels_->push_back(numbers.at(image.begin()->string()));
    classes_.assign(classes.begin(), classes.end());
    if (classes.empty())
      for (const auto& [name, number] : numbers)
        if (name != std::to_string(number)) name_class(number, name);
  }
  void name_class(std::int64_t number, const std::string& name) {
    const auto place = static_cast<std::size_t>(number);
    if (classes_.size() <= place) classes_.resize(place + 1);
    classes_[place] = name;
  }

  fs::path folder_;
  std::vector<fs::path> images_;
  Shape shape_;
  Preprocess preprocess_;
  std::optional<std::vector<std::int64_t>> labels_;
};

}  // namespace

std::optional<fs::path> first_picture(const fs::path& path) {
  if (!fs::is_directory(path))
    return has_image_extension(path) && fs::exists(path) ? std::optional(path) : std::nullopt;
  const Listing listing = list_images(path);
  if (listing.images.empty()) return std::nullopt;
  return path / listing.images.front();
}

std::unique_ptr<Dataset> open_image_folder(const fs::path& path, const InputSpec& input,
                                           const Preprocess& preprocess,
                                           std::span<const std::string> classes) {
  return std::make_unique<ImageFiles>(path, list_images(path), input, preprocess, classes);
}

std::unique_ptr<Dataset> open_single_image(const fs::path& path, const InputSpec& input,
                                           const Preprocess& preprocess) {
  return std::make_unique<ImageFiles>(path.parent_path(), Listing{{path.filename()}, {}}, input,
                                      preprocess, std::span<const std::string>());
}

std::vector<std::string> read_class_names(const fs::path& path) try {
  constexpr std::uint64_t kLargest = 1 << 20;
  const auto bytes = read_file(path, kLargest);
  std::istringstream lines({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    line.resize(line.find_last_not_of(" \t\r") + 1);
    line.erase(0, line.find_first_not_of(" \t"));
    if (line.empty()) continue;
    if (std::ranges::find(names, line) != names.end())
      throw Error(ErrorCode::BadData, fmt::format("the class '{}' comes twice", line));
    names.push_back(std::move(line));
  }
  if (names.empty())
    throw Error(ErrorCode::BadData, "holds no names of classes")
        .remedy("Write one name per line, in the order of the network's outputs");
  return names;
} catch (Error& error) {
  throw error.file(path.string());
}

}  // namespace espquant::data
