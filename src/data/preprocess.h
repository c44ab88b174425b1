#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "data/resize.h"

namespace espquant::data {

/// An input of a network; shape[0] is the batch, of any extent.
struct InputSpec {
  std::string name;
  Shape shape;
  /// The network takes whole numbers and scales them itself: pictures as their bytes, other arrays
  /// as they are.
  bool integers = false;
};

/// Of pictures: gray or in colour.
inline bool is_channel_count(std::int64_t extent) { return extent == 1 || extent == 3; }

/// How a picture whose sides relate otherwise than the network's is brought to size.
enum class Fit : std::uint8_t {
  Stretch,     ///< each axis by its own factor
  Letterbox,   ///< the whole picture, centred on a canvas of `pad` (as the YOLO family trains)
  CenterCrop,  ///< fills the size and cuts what stands over, evenly on both sides
};
enum class Color : std::uint8_t { Gray, Rgb, Bgr };
enum class Layout : std::uint8_t { Nchw, Nhwc };

/// Text that a setting is given or kept as.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// From a picture to a network input: colour, then size, then x = (pixel * scale - mean) / std,
/// computed in double and rounded once to float32. Gray is cv2's 0.299 R + 0.587 G + 0.114 B (PIL's
/// differs by at most 1).
struct Preprocess {
  /// 0 where the network takes no pictures.
  std::int64_t width = 0, height = 0;
  Resize resize = Resize::OpenCvBilinear;
  Fit fit = Fit::Stretch;
  /// CenterCrop: the shorter side before the cut, as torchvision's Resize(short_side); 0: just fill
  /// the size.
  std::int64_t short_side = 0;
  /// Letterbox: the pixel value around the picture.
  std::int64_t pad = 114;
  Color color = Color::Rgb;
  double scale = 1.0 / 255;
  /// One number for all channels, or one per channel in the order of `color`; empty: 0 and 1.
  std::vector<double> mean, std;
  Layout layout = Layout::Nchw;

  std::int64_t channels() const { return color == Color::Gray ? 1 : 3; }
  bool operator==(const Preprocess&) const = default;
};

/// What fits an input: layout by where the extent 1 or 3 stands, gray for 1 channel, RGB for 3.
/// (N,H,W) is gray. Without pictures (width 0) for other shapes.
Preprocess default_preprocess(const InputSpec& input);

/// default_preprocess() changed by `settings`, whose keys and values setting_help() lists.
///
/// Throws Error(Usage) for an unknown key (naming the nearest) or value, for one that does not fit
/// the input, and for a key given twice.
Preprocess preprocess_for(const InputSpec& input, const Settings& settings);

/// `settings` with those of `changes` in place of their own. Throws Error(Usage) for a key that
/// `changes` gives twice.
Settings overridden(Settings settings, const Settings& changes);

/// "key=value" strings as from a command line. Throws Error(Usage).
Settings parse_settings(std::span<const std::string> assignments);
/// A TOML file of the keys above at top level, lists as TOML arrays. Throws Error(Malformed),
/// Error(Usage).
Settings read_settings(const std::filesystem::path& path);
Settings parse_settings_toml(std::string_view text);

/// Every setting, in the order above, exact: preprocess_for(input, to_settings(p)) == p. Kept in a
/// model's metadata.
Settings to_settings(const Preprocess& preprocess);

/// The same as a file for read_settings().
std::string to_toml(const Preprocess& preprocess);

/// What there is to say of a setting, for help and docs: in the order in which settings act.
struct SettingHelp {
  std::string_view name, values, otherwise, meaning;
};
std::vector<SettingHelp> setting_help();

/// In one line: "gray, stretched to 96x96 (opencv), pixel / 255".
std::string describe(const Preprocess& preprocess);

/// What suggests that mean and std are in other units than pixels behind `scale`. Empty when
/// nothing does.
std::vector<std::string> doubts(const Preprocess& preprocess);

/// uint8 pixels (H,W,1) or (H,W,3) in RGB order as float32 (1,C,H,W) or (1,H,W,C).
/// Throws Error(BadData) for an empty picture, or one that CenterCrop cannot fill the size from.
Tensor apply(const Preprocess& preprocess, const Tensor& pixels);

}  // namespace espquant::data
