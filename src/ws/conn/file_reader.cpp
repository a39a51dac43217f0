#include "ws/conn/file_reader.hpp"

#include "base/thread.hpp"
#include "net/shard.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>
#include <utility>

namespace foz::ws {
namespace {

class file_source final : public body_source, public std::enable_shared_from_this<file_source> {
public:
    file_source(file_reader& reader, int descriptor, std::uint64_t size, net::slot taken)
        : reader_(reader), descriptor_(descriptor), size_(size), slot_(std::move(taken)) {}
    ~file_source() override { ::close(descriptor_); }
    file_source(const file_source&) = delete;
    file_source& operator=(const file_source&) = delete;

    std::uint64_t size() const noexcept override { return size_; }

    void read(net::shard& home, std::size_t octets_max, std::move_only_function<void(std::string)> done) override {
        reader_.run([self = shared_from_this(), &home, octets_max, done = std::move(done)]() mutable {
            std::string piece = self->next(octets_max);
            const std::size_t size = piece.size();
            home.post([done = std::move(done), piece = std::move(piece)]() mutable { done(std::move(piece)); }, size);
        });
    }

private:
    // On one of the reader's threads; one call at a time.
    std::string next(std::size_t octets_max) {
        std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(octets_max, size_ - offset_)), '\0');
        ssize_t result;
        do result = ::pread(descriptor_, piece.data(), piece.size(), static_cast<off_t>(offset_));
        while (result < 0 && errno == EINTR);
        piece.resize(result > 0 ? static_cast<std::size_t>(result) : 0);
        offset_ += piece.size();
        return piece;
    }

    file_reader& reader_;
    const int descriptor_;
    const std::uint64_t size_;
    std::uint64_t offset_ = 0;
    net::slot slot_;
};

}  // namespace

file_reader::file_reader(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

file_reader::~file_reader() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& one : threads_) one.join();
}

void file_reader::run(std::move_only_function<void()> job) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
}

void file_reader::work() {
    introduce_thread("foz-files");
    for (;;) {
        std::move_only_function<void()> job;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
            if (stopping_) return;
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job();
    }
}

std::shared_ptr<body_source> make_file_source(file_reader& reader, int descriptor, std::uint64_t size,
                                              net::slot taken) {
    return std::make_shared<file_source>(reader, descriptor, size, std::move(taken));
}

}  // namespace foz::ws
