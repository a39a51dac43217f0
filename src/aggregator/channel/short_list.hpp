// A list that mostly has one element or two. No I/O.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace foz::aggregator {

// 16 octets, and no memory elsewhere for what fits in 8 of them; as a vector, elements lie side by side. Of thousands
// of topics most have one member, and of thousands of members most have one topic. It gives memory back as it shrinks.
template <class T>
class short_list {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    static_assert(sizeof(T) <= sizeof(T*) && alignof(T) <= alignof(T*));

public:
    short_list() noexcept = default;
    short_list(short_list&& other) noexcept
        : size_(std::exchange(other.size_, 0)), capacity_(std::exchange(other.capacity_, here)) {
        std::memcpy(memory_, other.memory_, sizeof memory_);
    }
    short_list& operator=(short_list&& other) noexcept {
        if (this == &other) return *this;
        release();
        size_ = std::exchange(other.size_, 0);
        capacity_ = std::exchange(other.capacity_, here);
        std::memcpy(memory_, other.memory_, sizeof memory_);
        return *this;
    }
    ~short_list() { release(); }

    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }
    const T* begin() const noexcept { return data(); }
    const T* end() const noexcept { return data() + size_; }
    T* begin() noexcept { return data(); }
    T* end() noexcept { return data() + size_; }
    T& operator[](std::size_t i) noexcept {
        assert(i < size_);
        return data()[i];
    }
    const T& back() const noexcept {
        assert(size_ > 0);
        return data()[size_ - 1];
    }

    void push_back(T what) { insert(size_, what); }
    void insert(std::size_t before, T what) {
        assert(before <= size_);
        if (size_ == capacity_) resize(2 * capacity_);
        T* const at = data() + before;
        std::memmove(at + 1, at, (size_ - before) * sizeof(T));
        *at = what;
        ++size_;
    }
    void erase(std::size_t which) {
        assert(which < size_);
        T* const at = data() + which;
        std::memmove(at, at + 1, (size_ - which - 1) * sizeof(T));
        truncate(size_ - 1);
    }
    // Keeps the first ones.
    void truncate(std::size_t size) {
        assert(size <= size_);
        size_ = static_cast<std::uint32_t>(size);
        if (capacity_ > here && 4 * size_ <= capacity_) resize(2 * size_ < here ? here : 2 * size_);
    }

private:
    static constexpr std::size_t pointer_bytes = sizeof(std::uintptr_t);
    static constexpr std::uint32_t here = pointer_bytes / sizeof(T);

    T* data() noexcept { return const_cast<T*>(std::as_const(*this).data()); }
    const T* data() const noexcept {
        if (capacity_ == here) return std::launder(reinterpret_cast<const T*>(memory_));
        const T* far = nullptr;
        std::memcpy(&far, memory_, pointer_bytes);
        return far;
    }
    void release() noexcept {
        if (capacity_ > here) std::free(data());
    }
    void resize(std::uint32_t capacity) {
        T* const before = data();
        if (capacity == here) {
            alignas(T*) unsigned char kept[sizeof memory_] = {};
            std::memcpy(kept, before, size_ * sizeof(T));
            std::free(before);
            std::memcpy(memory_, kept, sizeof memory_);
        } else {
            const bool far = capacity_ > here;
            T* const made = static_cast<T*>(std::realloc(far ? before : nullptr, capacity * sizeof(T)));
            if (!made) throw std::bad_alloc();
            if (!far) std::memcpy(made, before, size_ * sizeof(T));
            std::memcpy(memory_, &made, pointer_bytes);
        }
        capacity_ = capacity;
    }

    alignas(T*) unsigned char memory_[pointer_bytes] = {};  // the elements, or where they are
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = here;
};

}  // namespace foz::aggregator
