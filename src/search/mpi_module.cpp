// Built only where there is MPI, as a module of its own: see ranks.h.
#include "search/mpi_module.h"

#include <mpi.h>

namespace {

constexpr int kTag = 1;

int begin(int* rank, int* size) {
  int provided = 0;
  int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  if (code == MPI_SUCCESS) code = MPI_Comm_rank(MPI_COMM_WORLD, rank);
  if (code == MPI_SUCCESS) code = MPI_Comm_size(MPI_COMM_WORLD, size);
  if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  return code;
}

int send(int to, const void* bytes, std::size_t count) {
  return MPI_Send(bytes, static_cast<int>(count), MPI_CHAR, to, kTag, MPI_COMM_WORLD);
}

int probe(int* waits, int* from, std::size_t* count) {
  MPI_Status status;
  int code = MPI_Iprobe(MPI_ANY_SOURCE, kTag, MPI_COMM_WORLD, waits, &status);
  if (code != MPI_SUCCESS || *waits == 0) return code;
  int size = 0;
  code = MPI_Get_count(&status, MPI_CHAR, &size);
  *from = status.MPI_SOURCE;
  *count = static_cast<std::size_t>(size);
  return code;
}

int receive(int from, void* bytes, std::size_t count) {
  return MPI_Recv(bytes, static_cast<int>(count), MPI_CHAR, from, kTag, MPI_COMM_WORLD,
                  MPI_STATUS_IGNORE);
}

int end() { return MPI_Finalize(); }

void abort_all() { MPI_Abort(MPI_COMM_WORLD, 1); }

constexpr EspquantMpi kModule = {begin, send, probe, receive, end, abort_all};

}  // namespace

extern "C" __attribute__((visibility("default"))) const EspquantMpi* espquant_mpi_1() {
  return &kModule;
}
