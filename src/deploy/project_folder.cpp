#include "deploy/project_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

namespace espquant::deploy {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRecord = ".espquant";

/// The digest that each file had when it was written, by its path; empty where there is no record.
std::map<std::string, std::string> read_record(const fs::path& file) {
  std::map<std::string, std::string> record;
  if (!fs::exists(file)) return record;
  const auto bytes = read_file(file);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::size_t kDigits = 64;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > kDigits + 1)
      record.emplace(line.substr(kDigits + 1), line.substr(0, kDigits));
  }
  return record;
}

std::string digest_of(std::string_view content) {
  return sha256_of(std::as_bytes(std::span(content.data(), content.size())));
}

/// Folders alone are what a run leaves that was killed.
bool holds_files(const fs::path& folder) {
  if (!fs::exists(folder)) return false;
  const fs::recursive_directory_iterator entries(folder);
  return std::any_of(begin(entries), end(entries),
                     [](const fs::directory_entry& e) { return !e.is_directory(); });
}

void finish_interrupted_project(const fs::path& folder, const Project& project) {
  std::set<fs::path> folders{folder};
  for (const ProjectFile& file : project.files) folders.insert((folder / file.path).parent_path());
  for (const fs::path& each : folders) finish_interrupted_runs(each);
}

void refuse(const fs::path& folder, std::string what, const char* remedy) {
  throw Error(ErrorCode::Usage, std::move(what)).file(folder.string()).remedy(remedy);
}

using Record = std::map<std::string, std::string>;

void check_folder(const fs::path& folder, const Project& project, const Record& record) {
  if (!holds_files(folder)) return;
  if (record.empty())
    refuse(folder, "the folder holds files that no espquant project is made of",
           "Give a new folder, or --force to write into this one");
  std::vector<std::string> changed, foreign;
  for (const ProjectFile& file : project.files) {
    const fs::path path = folder / file.path;
    if (!fs::exists(path)) continue;
    const auto bytes = read_file(path);
    const std::string digest = sha256_of(bytes);
    const auto known = record.find(file.path);
    if (digest == digest_of(file.content)) continue;
    if (known == record.end())
      foreign.push_back(file.path);
    else if (known->second != digest)
      changed.push_back(file.path);
  }
  if (!changed.empty())
    refuse(folder, fmt::format("you changed {}", fmt::join(changed, ", ")),
           "Give a new folder, or --force to have these files written anew");
  if (!foreign.empty())
    refuse(folder, fmt::format("there are files of yours called {}", fmt::join(foreign, ", ")),
           "Give a new folder, or --force to have these files written anew");
}

/// Of the project before, as they were written, which this one has not.
std::vector<fs::path> left_over(const fs::path& folder, const Project& project,
                                const Record& record) {
  std::vector<fs::path> files;
  for (const auto& [path, digest] : record) {
    const bool stays =
        std::any_of(project.files.begin(), project.files.end(),
                    [&path = path](const ProjectFile& file) { return file.path == path; });
    // A record may be damaged: what leads out of the folder is no file of the project.
    const fs::path inside = fs::path(path).lexically_normal();
    if (stays || inside.is_absolute() || *inside.begin() == ".." ||
        !fs::is_regular_file(folder / path))
      continue;
    if (sha256_of(read_file(folder / path)) == digest) files.push_back(folder / path);
  }
  return files;
}

}  // namespace

void write_project(const fs::path& folder, const Project& project, bool force) {
  if (fs::exists(folder) && !fs::is_directory(folder))
    refuse(folder, "there is a file of that name", "Give a folder");
  finish_interrupted_project(folder, project);
  const Record before = read_record(folder / kRecord);
  if (!force) check_folder(folder, project, before);
  const std::vector<fs::path> old = left_over(folder, project, before);
  OutputFiles output;
  std::string record;
  for (const ProjectFile& file : project.files) {
    output.add(folder / file.path, file.content);
    record += fmt::format("{} {}\n", digest_of(file.content), file.path);
  }
  output.add(folder / kRecord, record);
  output.commit();
  for (const fs::path& file : old) {
    std::error_code stays_then;
    fs::remove(file, stays_then);
  }
}

}  // namespace espquant::deploy
