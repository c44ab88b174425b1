#include "search/ranks.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "search/mpi_module.h"

namespace espquant::search {
namespace {

namespace fs = std::filesystem;

int number_in_environment(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* text = std::getenv(name)) return std::atoi(text);
  return 1;
}

/// Where the module may lie: beside the program, and where it is installed.
void* open_module() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& path :
       {folder / kMpiModuleFile, folder.parent_path() / "lib" / "espquant" / kMpiModuleFile})
    // MPI looks for its own parts among the names of the whole program.
    if (fs::exists(path, error)) return ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  return nullptr;
}

class MpiRanks : public Ranks {
 public:
  explicit MpiRanks(const EspquantMpi& mpi) : mpi_(mpi) { require(mpi_.begin(&rank_, &size_)); }
  ~MpiRanks() override {
    if (!finished_) mpi_.abort();
  }
  MpiRanks(const MpiRanks&) = delete;
  MpiRanks& operator=(const MpiRanks&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void send(int to, std::string_view text) override {
    require(mpi_.send(to, text.data(), text.size()));
  }
  std::optional<Message> receive() override {
    int waits = 0;
    Message message;
    std::size_t count = 0;
    require(mpi_.probe(&waits, &message.from, &count));
    if (waits == 0) return std::nullopt;
    message.text.resize(count);
    require(mpi_.receive(message.from, message.text.data(), count));
    return message;
  }
  void finish() override {
    finished_ = true;
    require(mpi_.end());
  }

 private:
  static void require(int code) {
    if (code != 0) throw Error(ErrorCode::Io, fmt::format("MPI fails with its error {}", code));
  }

  const EspquantMpi& mpi_;
  int rank_ = 0, size_ = 1;
  bool finished_ = false;
};

}  // namespace

int local_ranks() {
  return std::max(1, number_in_environment({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}));
}

std::unique_ptr<Ranks> launched_ranks() {
  if (number_in_environment({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) <= 1) return nullptr;
  void* module = open_module();
  auto* entry = module == nullptr
                    ? nullptr
                    : reinterpret_cast<EspquantMpiModule>(::dlsym(module, kMpiModuleEntry));
  if (entry == nullptr)
    throw Error(ErrorCode::Unsupported, "this espquant was built without MPI")
        .remedy(
            "Install libopenmpi-dev and build it again, or let processes join a search by "
            "tune --worker");
  return std::make_unique<MpiRanks>(*entry());
}

}  // namespace espquant::search
