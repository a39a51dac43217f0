// A folder whose files are answered to GET and HEAD.
#pragma once

#include "net/slots.hpp"
#include "ws/conn/file_reader.hpp"
#include "ws/conn/http.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace foz::ws {

struct web_folder_options {
    std::size_t files_max = 256;  // that are open at a time, of all connections; a further request is told 503
    unsigned threads = 2;         // that read them
};

// Answers with what lies in the folder and below it, and with nothing else: no symbolic link leads out (openat2(2),
// RESOLVE_BENEATH: not even one that comes back), a name that begins with a dot is not found, but for /.well-known/
// (RFC 8615), and only regular files are. A file is read by threads of its own, a piece at a time, as fast as its
// client takes it.
//
// From any thread. Outlives the connections that it answers.
class web_folder {
public:
    // Throws std::runtime_error with one line when the folder can't be opened, or the system can't keep a path below a
    // folder (Linux before 5.6).
    explicit web_folder(const std::string& folder, const web_folder_options& options = {});
    ~web_folder();
    web_folder(const web_folder&) = delete;
    web_folder& operator=(const web_folder&) = delete;

    // `request.path` is canonical. 200 (FILE.br or FILE.gz beside FILE when the client takes that), 304, 301 for a
    // folder that was asked for without its slash, 404, or 503 when too many files are open.
    http_response answer(const http_request& request);

private:
    const int folder_;
    file_reader reader_;
    const std::shared_ptr<net::slot_pool> slots_;
};

}  // namespace foz::ws
