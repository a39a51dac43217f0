// A frame: octets that are encoded once, never change afterwards and are shared by reference.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace foz {

// A counted reference to immutable octets. The count is not atomic: a frame_ref and its copies stay on
// one core (shard). To cross cores, hand over a shared_octets and call frame_ref::of() on the other side,
// once for that core, not once for each receiver.
using shared_octets = std::shared_ptr<const std::string>;

class frame_ref {
public:
    frame_ref() noexcept = default;

    // Copies the octets into one allocation together with the count.
    static frame_ref copy(std::string_view octets) {
        void* memory = ::operator new(sizeof(block) + octets.size());
        char* data = static_cast<char*>(memory) + sizeof(block);
        if (!octets.empty()) std::memcpy(data, octets.data(), octets.size());
        return frame_ref(new (memory) block{1, octets.size(), data, [](block* b) { ::operator delete(b); }});
    }

    // Octets that lie in what `owner` keeps alive; costs one small allocation, copies nothing.
    template <class Owner>
    static frame_ref held_by(Owner owner, std::string_view octets) {
        struct holder : block {
            Owner owner;
        };
        const auto destroy = [](block* b) { delete static_cast<holder*>(b); };
        return frame_ref(new holder{{1, octets.size(), octets.data(), destroy}, std::move(owner)});
    }

    // Shares octets that other cores may hold too.
    static frame_ref of(shared_octets octets) {
        const std::string_view all = *octets;
        return held_by(std::move(octets), all);
    }

    // Takes the string over without copying its octets.
    static frame_ref take(std::string octets) { return of(std::make_shared<const std::string>(std::move(octets))); }

    frame_ref(const frame_ref& other) noexcept : block_(other.block_) {
        if (block_) ++block_->references;
    }
    frame_ref(frame_ref&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    frame_ref& operator=(frame_ref other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~frame_ref() {
        if (block_ && --block_->references == 0) block_->destroy(block_);
    }

    explicit operator bool() const noexcept { return block_ != nullptr; }
    std::string_view octets() const noexcept {
        return block_ ? std::string_view(block_->data, block_->size) : std::string_view();
    }
    std::size_t size() const noexcept { return block_ ? block_->size : 0; }

private:
    struct block {
        std::uint32_t references;
        std::size_t size;
        const char* data;
        void (*destroy)(block*);
    };

    explicit frame_ref(block* b) noexcept : block_(b) {}

    block* block_ = nullptr;
};

}  // namespace foz
