#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/error.h"
#include "data/dataset_sources.h"
#include "data/image.h"

namespace espquant::data {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

/// Image files below a folder, relative to it, in the order of their paths' bytes.
struct Listing {
  std::vector<fs::path> images;
  std::size_t other_files = 0;
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
        ++listing.other_files;
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

class ImageFiles : public Dataset {
 public:
  ImageFiles(fs::path folder, Listing listing, const InputSpec& input, const Preprocess& preprocess)
      : folder_(std::move(folder)),
        images_(std::move(listing.images)),
        shape_(sample_shape(input)),
        preprocess_(preprocess) {
    check_takes_images(input, preprocess);
    if (images_.empty())
      throw Error(ErrorCode::BadData, "no images")
          .remedy("give a folder that holds JPEG or PNG files");
    if (listing.other_files > 0)
      warnings_.push_back(
          fmt::format("{} files are neither JPEG nor PNG and are left out", listing.other_files));
    number_classes();
  }

  std::size_t size() const override { return images_.size(); }
  std::string sample_name(std::size_t index) const override {
    return images_[index].generic_string();
  }
  std::optional<std::vector<std::int64_t>> labels() const override { return labels_; }

 protected:
  std::vector<Tensor> read(std::size_t index) const override {
    const fs::path path = folder_ / images_[index];
    try {
      return {apply(preprocess_, read_image(path)).reshaped(shape_)};
    } catch (Error& error) {
      throw error.file(path.string());
    }
  }

 private:
  void number_classes() {
    const bool all_in_folders =
        std::ranges::all_of(images_, [](const fs::path& image) { return image.has_parent_path(); });
    if (!all_in_folders) return;
    std::set<std::string> names;
    for (const fs::path& image : images_) names.insert(image.begin()->string());
    const auto numbers = class_numbers(names);
    labels_.emplace();
    for (const fs::path& image : images_) labels_->push_back(numbers.at(image.begin()->string()));
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
                                           const Preprocess& preprocess) {
  return std::make_unique<ImageFiles>(path, list_images(path), input, preprocess);
}

std::unique_ptr<Dataset> open_single_image(const fs::path& path, const InputSpec& input,
                                           const Preprocess& preprocess) {
  return std::make_unique<ImageFiles>(path.parent_path(), Listing{{path.filename()}, 0}, input,
                                      preprocess);
}

}  // namespace espquant::data
