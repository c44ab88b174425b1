#include "data/npz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace espquant::data {
namespace {

constexpr std::string_view kSuffix = ".npy";

/// The first bytes of a member, enough for any header that is accepted.
std::vector<std::byte> read_prefix(ZipReader& reader, const ZipMember& member) {
  std::vector<std::byte> prefix(std::min(member.size, kMaxNpyHeader));
  reader.read(prefix);
  return prefix;
}

NpyHeader checked_header(std::span<const std::byte> prefix, const ZipMember& member) {
  NpyHeader header = parse_npy_header(prefix);
  if (member.size - header.size != header.payload_bytes())
    throw Error(
        ErrorCode::Malformed,
        fmt::format("{} bytes of elements, shape {} of {} needs {}", member.size - header.size,
                    to_string(header.shape), to_string(header.dtype), header.payload_bytes()));
  return header;
}

std::map<std::string, Tensor> read_all(const Npz& npz) {
  std::map<std::string, Tensor> arrays;
  for (const std::string& name : npz.names()) arrays.emplace(name, npz.read(name));
  return arrays;
}

}  // namespace

Npz::Npz(std::vector<std::byte> archive, std::uint64_t limit)
    : Npz(bytes_in_memory(std::move(archive)), limit) {}

Npz::Npz(std::shared_ptr<const ByteSource> archive, std::uint64_t limit)
    : archive_(std::move(archive)), members_(list_zip(*archive_, limit)) {
  for (const ZipMember& m : members_) {
    if (!m.name.ends_with(kSuffix))
      throw Error(ErrorCode::Malformed,
                  fmt::format("the archive's member '{}' is no .npy array", m.name))
          .remedy("write the file with numpy.savez");
    names_.push_back(m.name.substr(0, m.name.size() - kSuffix.size()));
  }
}

Npz Npz::open(const std::filesystem::path& path) {
  try {
    return Npz(bytes_of_file(path));
  } catch (Error& error) {
    throw error.file(path.string());
  }
}

bool Npz::has(std::string_view name) const {
  return std::ranges::find(names_, name) != names_.end();
}

const ZipMember& Npz::member(std::string_view name) const {
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end()) {
    Error error(ErrorCode::BadData,
                fmt::format("no array '{}'; the archive holds {}", name, fmt::join(names_, ", ")));
    const std::string near = nearest_name(name, names_);
    if (!near.empty()) error.remedy(fmt::format("did you mean '{}'?", near));
    throw error;
  }
  return members_[static_cast<std::size_t>(found - names_.begin())];
}

NpyHeader Npz::header(std::string_view name) const {
  const ZipMember& m = member(name);
  try {
    ZipReader reader(*archive_, m);
    return checked_header(read_prefix(reader, m), m);
  } catch (Error& error) {
    throw error.tensor(name);
  }
}

Tensor Npz::read(std::string_view name, Wide wide) const {
  const ZipMember& m = member(name);
  try {
    ZipReader reader(*archive_, m);
    const std::vector<std::byte> prefix = read_prefix(reader, m);
    const NpyHeader header = checked_header(prefix, m);
    // The first elements came with the header.
    auto early = std::span(prefix).subspan(header.size);
    Tensor array = read_elements(header, wide, [&](std::span<std::byte> out) {
      const std::size_t known = std::min(early.size(), out.size());
      std::ranges::copy(early.first(known), out.begin());
      early = early.subspan(known);
      reader.read(out.subspan(known));
    });
    reader.finish();
    return array;
  } catch (Error& error) {
    throw error.tensor(name);
  }
}

std::map<std::string, Tensor> read_npz(const std::filesystem::path& path) {
  const Npz npz = Npz::open(path);
  try {
    return read_all(npz);
  } catch (Error& error) {
    throw error.file(path.string());
  }
}

std::map<std::string, Tensor> read_npz(std::span<const std::byte> archive) {
  return read_all(Npz({archive.begin(), archive.end()}));
}

std::vector<std::byte> write_npz(const std::map<std::string, Tensor>& arrays, bool compress) {
  std::vector<std::pair<std::string, std::vector<std::byte>>> members;
  for (const auto& [name, tensor] : arrays)
    members.emplace_back(name + std::string(kSuffix), write_npy(tensor));
  return write_zip(members, compress);
}

}  // namespace espquant::data
