#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/toml_text.h"
#include "data/image.h"
#include "data/preprocess.h"

namespace espquant::data {
namespace {

template <typename E>
using Names = std::array<std::pair<std::string_view, E>, 3>;

constexpr Names<Resize> kResizeNames = {{{"opencv", Resize::OpenCvBilinear},
                                         {"pillow", Resize::PillowBilinear},
                                         {"nearest", Resize::Nearest}}};
constexpr Names<Fit> kFitNames = {
    {{"stretch", Fit::Stretch}, {"letterbox", Fit::Letterbox}, {"center-crop", Fit::CenterCrop}}};
constexpr Names<Color> kColorNames = {
    {{"gray", Color::Gray}, {"rgb", Color::Rgb}, {"bgr", Color::Bgr}}};
constexpr std::array<std::pair<std::string_view, Layout>, 2> kLayoutNames = {
    {{"NCHW", Layout::Nchw}, {"NHWC", Layout::Nhwc}}};

Error bad_value(std::string_view key, std::string_view value, std::string_view expected) {
  return Error(ErrorCode::Usage,
               fmt::format("preprocess {} = '{}': expected {}", key, value, expected));
}

void parse(const auto& names, std::string_view key, std::string_view value, auto& to) {
  std::vector<std::string> known;
  for (const auto& [name, meaning] : names) {
    if (name == value) {
      to = meaning;
      return;
    }
    known.emplace_back(name);
  }
  throw bad_value(key, value, fmt::format("{}", fmt::join(known, ", ")));
}

std::string_view name_of(const auto& names, auto value) {
  return std::ranges::find(names, value, [](const auto& n) { return n.second; })->first;
}

std::int64_t parse_integer(std::string_view key, std::string_view value, std::int64_t least,
                           std::int64_t most) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < least || number > most)
    throw bad_value(key, value, fmt::format("a whole number from {} to {}", least, most));
  return number;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

double parse_number(std::string_view key, std::string_view value) {
  const auto number = [&](std::string_view text) {
    text = trimmed(text);
    double v = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(v))
      throw bad_value(key, value, "a number or a fraction such as 1/255");
    return v;
  };
  const std::size_t slash = value.find('/');
  if (slash == std::string_view::npos) return number(value);
  const double quotient = number(value.substr(0, slash)) / number(value.substr(slash + 1));
  if (!std::isfinite(quotient)) throw bad_value(key, value, "a finite fraction");
  return quotient;
}

std::vector<double> parse_numbers(std::string_view key, std::string_view value) {
  std::vector<double> numbers;
  while (!trimmed(value).empty()) {
    const std::size_t comma = value.find(',');
    numbers.push_back(parse_number(key, value.substr(0, comma)));
    value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
  }
  return numbers;
}

/// A setting: what it means, how it is read and how it is written.
struct Key {
  std::string_view name, values, otherwise, meaning;
  void (*set)(Preprocess&, std::string_view key, std::string_view value);
  std::string (*get)(const Preprocess&);
};

using P = Preprocess;
using Text = std::string_view;
// In the order in which they act.
constexpr std::array kKeys = {
    Key{"width", "pixels", "the input's", "of the picture that the network takes",
        [](P& p, Text k, Text v) { p.width = parse_integer(k, v, 1, kMaxImageSide); },
        [](const P& p) { return fmt::to_string(p.width); }},
    Key{"height", "pixels", "the input's", "of the picture that the network takes",
        [](P& p, Text k, Text v) { p.height = parse_integer(k, v, 1, kMaxImageSide); },
        [](const P& p) { return fmt::to_string(p.height); }},
    Key{"color", "gray, rgb, bgr", "gray for 1 channel, rgb for 3", "what pictures become first",
        [](P& p, Text k, Text v) { parse(kColorNames, k, v, p.color); },
        [](const P& p) { return std::string(name_of(kColorNames, p.color)); }},
    Key{"fit", "stretch, letterbox, center-crop", "stretch", "how another shape is brought to size",
        [](P& p, Text k, Text v) { parse(kFitNames, k, v, p.fit); },
        [](const P& p) { return std::string(name_of(kFitNames, p.fit)); }},
    Key{"pad", "0 to 255", "114", "pixels around a letterbox",
        [](P& p, Text k, Text v) { p.pad = parse_integer(k, v, 0, 255); },
        [](const P& p) { return fmt::to_string(p.pad); }},
    Key{"short_side", "pixels, or 0", "0: just fills the size",
        "of the shorter side before center-crop cuts",
        [](P& p, Text k, Text v) { p.short_side = parse_integer(k, v, 0, kMaxImageSide); },
        [](const P& p) { return fmt::to_string(p.short_side); }},
    Key{"resize", "opencv, pillow, nearest", "opencv",
        "how pixels are found: pillow averages where it shrinks, as torchvision does",
        [](P& p, Text k, Text v) { parse(kResizeNames, k, v, p.resize); },
        [](const P& p) { return std::string(name_of(kResizeNames, p.resize)); }},
    Key{"scale", "a number or a fraction", "1/255", "then every pixel is multiplied by it",
        [](P& p, Text k, Text v) { p.scale = parse_number(k, v); },
        [](const P& p) { return fmt::format("{}", p.scale); }},
    Key{"mean", "a number, or one per channel", "0", "and this is subtracted from the result",
        [](P& p, Text k, Text v) { p.mean = parse_numbers(k, v); },
        [](const P& p) { return fmt::format("{}", fmt::join(p.mean, ",")); }},
    Key{"std", "a number, or one per channel", "1", "which is divided by this",
        [](P& p, Text k, Text v) { p.std = parse_numbers(k, v); },
        [](const P& p) { return fmt::format("{}", fmt::join(p.std, ",")); }},
    Key{"layout", "NCHW, NHWC", "the input's", "the order in which the network takes the values",
        [](P& p, Text k, Text v) { parse(kLayoutNames, k, v, p.layout); },
        [](const P& p) { return std::string(name_of(kLayoutNames, p.layout)); }},
};

const Key& find_key(std::string_view name) {
  const auto* found = std::ranges::find(kKeys, name, &Key::name);
  if (found != kKeys.end()) return *found;
  std::vector<std::string> known;
  for (const Key& key : kKeys) known.emplace_back(key.name);
  Error error(ErrorCode::Usage, fmt::format("unknown preprocess setting '{}'", name));
  const std::string near = nearest_name(name, known);
  error.remedy(near.empty() ? fmt::format("known are {}", fmt::join(known, ", "))
                            : fmt::format("did you mean '{}'?", near));
  throw error;
}

void check_fits(const Preprocess& p, const InputSpec& input) {
  const auto refuse = [&input](std::string message) {
    throw Error(ErrorCode::Usage, "preprocess: " + std::move(message)).tensor(input.name);
  };
  const Shape image = input.shape.size() == 3    ? Shape{p.height, p.width}
                      : p.layout == Layout::Nchw ? Shape{p.channels(), p.height, p.width}
                                                 : Shape{p.height, p.width, p.channels()};
  if (p.width == 0 || !std::ranges::equal(image, std::span(input.shape).subspan(1)))
    refuse(fmt::format("an image as {} does not fit the input's shape {}", to_string(image),
                       to_string(input.shape)));
  for (const auto& [name, values] : {std::pair("mean", &p.mean), std::pair("std", &p.std)})
    if (values->size() > 1 && static_cast<std::int64_t>(values->size()) != p.channels())
      refuse(fmt::format("{} has {} numbers for {} channels", name, values->size(), p.channels()));
  if (std::ranges::find(p.std, 0.0) != p.std.end()) refuse("std must not be 0");
  if (p.scale == 0) refuse("scale must not be 0: every picture would be the same");
}

std::string toml_scalar(std::string_view key, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return fmt::to_string(integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  throw Error(ErrorCode::Usage,
              fmt::format("preprocess {}: expected a number, a string or a list", key));
}

}  // namespace

Preprocess preprocess_for(const InputSpec& input, const Settings& settings) {
  Preprocess p = default_preprocess(input);
  std::set<std::string_view> seen;
  for (const auto& [key, value] : settings) {
    if (!seen.insert(key).second)
      throw Error(ErrorCode::Usage, fmt::format("preprocess setting '{}' is given twice", key));
    find_key(key).set(p, key, value);
  }
  // An explicit layout moves the axes unless they are given too.
  if (seen.contains("layout") && input.shape.size() == 4) {
    const bool nchw = p.layout == Layout::Nchw;
    if (!seen.contains("height")) p.height = input.shape[nchw ? 2 : 1];
    if (!seen.contains("width")) p.width = input.shape[nchw ? 3 : 2];
    if (!seen.contains("color"))
      p.color = input.shape[nchw ? 1 : 3] == 1 ? Color::Gray : Color::Rgb;
  }
  if (!settings.empty()) check_fits(p, input);
  return p;
}

Settings overridden(Settings settings, const Settings& changes) {
  for (auto change = changes.begin(); change != changes.end(); ++change) {
    const auto same_key = [&](const auto& other) { return other.first == change->first; };
    if (std::any_of(changes.begin(), change, same_key))
      throw Error(ErrorCode::Usage,
                  fmt::format("preprocess setting '{}' is given twice", change->first));
    std::erase_if(settings, same_key);
    settings.push_back(*change);
  }
  return settings;
}

Settings parse_settings(std::span<const std::string> assignments) {
  Settings settings;
  for (const std::string& text : assignments) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw Error(ErrorCode::Usage,
                  fmt::format("preprocess setting '{}' is not of the form key=value", text));
    settings.emplace_back(trimmed(std::string_view(text).substr(0, equals)),
                          trimmed(std::string_view(text).substr(equals + 1)));
  }
  return settings;
}

Settings parse_settings_toml(std::string_view text) {
  Settings settings;
  for (const auto& [key, node] : parse_toml(text)) {
    find_key(key.str());
    std::string value;
    if (const auto* list = node.as_array()) {
      for (const toml::node& element : *list) {
        if (!value.empty()) value += ',';
        value += toml_scalar(key.str(), element);
      }
    } else {
      value = toml_scalar(key.str(), node);
    }
    settings.emplace_back(key.str(), std::move(value));
  }
  return settings;
}

Settings read_settings(const std::filesystem::path& path) try {
  const auto bytes = read_file(path, 1 << 20);
  return parse_settings_toml({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
} catch (Error& error) {
  throw error.file(path.string());
}

Settings to_settings(const Preprocess& preprocess) {
  Settings settings;
  for (const Key& key : kKeys) settings.emplace_back(key.name, key.get(preprocess));
  return settings;
}

std::string to_toml(const Preprocess& preprocess) {
  std::string text = "# How pictures are prepared: espquant run --preprocess-file\n";
  for (const Key& key : kKeys) {
    const std::string value = key.get(preprocess);
    const bool list = key.name == "mean" || key.name == "std";
    const bool word = !list && value.find_first_not_of("0123456789.-+e") != std::string::npos;
    text += fmt::format(fmt::runtime(list   ? "{} = [{}]\n"
                                     : word ? "{} = \"{}\"\n"
                                            : "{} = {}\n"),
                        key.name, value);
  }
  return text;
}

std::vector<SettingHelp> setting_help() {
  std::vector<SettingHelp> all;
  for (const Key& key : kKeys) all.push_back({key.name, key.values, key.otherwise, key.meaning});
  return all;
}

std::string describe(const Preprocess& p) {
  const auto numbers = [](const std::vector<double>& v) {
    return v.size() == 1 ? fmt::format("{:.4g}", v[0])
                         : fmt::format("({:.4g})", fmt::join(v, ", "));
  };
  std::string size = fmt::format("stretched to {}x{}", p.width, p.height);
  if (p.fit == Fit::Letterbox)
    size = fmt::format("fitted into {}x{} of {}", p.width, p.height, p.pad);
  if (p.fit == Fit::CenterCrop) {
    size = fmt::format("{}x{} cut from the center", p.width, p.height);
    if (p.short_side > 0) size += fmt::format(" behind a short side of {}", p.short_side);
  }
  const double divisor = 1 / p.scale;
  std::string value = "pixel";
  if (p.scale != 1)
    value += divisor == std::round(divisor) ? fmt::format(" / {}", divisor)
                                            : fmt::format(" * {:.4g}", p.scale);
  if (!p.mean.empty()) value += fmt::format(" - {}", numbers(p.mean));
  if (!p.std.empty())
    value = fmt::format(fmt::runtime(value == "pixel" ? "{} / {}" : "({}) / {}"), value,
                        numbers(p.std));
  return fmt::format("{}, {} ({}), {}", name_of(kColorNames, p.color), size,
                     name_of(kResizeNames, p.resize), value);
}

std::vector<std::string> doubts(const Preprocess& p) {
  std::vector<std::string> found;
  const double most = 255 * std::abs(p.scale);
  for (const double mean : p.mean)
    if (std::abs(mean) > most) {
      found.push_back(
          fmt::format("mean = {:.4g} lies beyond {:.4g}, the largest that a pixel becomes behind "
                      "scale = {:.4g}: "
                      "give mean and std in those units ({:.4g}), or scale=1",
                      mean, most, p.scale, mean * p.scale));
      break;
    }
  for (const double std : p.std)
    if (found.empty() && std::abs(std) > most) {
      found.push_back(
          fmt::format("std = {:.4g} is more than pixels behind scale = {:.4g} reach ({:.4g}): give "
                      "mean and std "
                      "in those units ({:.4g}), or scale=1",
                      std, p.scale, most, std * p.scale));
      break;
    }
  return found;
}

}  // namespace espquant::data
