// A queue that costs a pointer while it is empty.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace foz {

// First in, first out, in one block of memory that doubles when it is full and goes away when the ring becomes empty,
// so that thousands of idle queues cost nothing (an empty std::deque takes 608 octets). Not copied, not moved.
template <class T>
class ring {
public:
    ring() noexcept = default;
    ring(const ring&) = delete;
    ring& operator=(const ring&) = delete;
    ~ring() { clear(); }

    bool empty() const noexcept { return !block_; }
    std::size_t size() const noexcept { return block_ ? block_->size : 0; }

    T& operator[](std::size_t i) noexcept {
        assert(i < size());
        return *slot(i);
    }
    const T& operator[](std::size_t i) const noexcept { return const_cast<ring&>(*this)[i]; }
    T& front() noexcept { return (*this)[0]; }
    const T& front() const noexcept { return (*this)[0]; }
    T& back() noexcept { return (*this)[size() - 1]; }

    void push_back(T value) {
        if (!block_ || block_->size == block_->capacity) grow();
        std::construct_at(slot(block_->size), std::move(value));
        ++block_->size;
    }

    void pop_front() noexcept {
        assert(!empty());
        if (block_->size == 1) return clear();
        // Out of the ring first: what a destructor does may come back here.
        const T gone = std::move(*slot(0));
        std::destroy_at(slot(0));
        block_->first = (block_->first + 1) & (block_->capacity - 1);
        --block_->size;
    }

    void clear() noexcept {
        block* const old = std::exchange(block_, nullptr);
        if (!old) return;
        for (std::uint32_t i = 0; i < old->size; ++i) std::destroy_at(old->slot(i));
        release(old);
    }

private:
    static constexpr std::uint32_t capacity_min = 4;

    struct block {
        std::uint32_t capacity;  // a power of two
        std::uint32_t first;
        std::uint32_t size;
        T* slots() noexcept { return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(this) + offset); }
        T* slot(std::size_t i) noexcept { return slots() + ((first + i) & (capacity - 1)); }
    };
    static constexpr std::size_t offset = (sizeof(block) + alignof(T) - 1) / alignof(T) * alignof(T);
    static_assert(alignof(T) <= alignof(std::max_align_t));

    T* slot(std::size_t i) noexcept { return block_->slot(i); }

    void grow() {
        const std::uint32_t capacity = block_ ? block_->capacity * 2 : capacity_min;
        auto* const larger = ::new (::operator new(offset + capacity * sizeof(T))) block{capacity, 0, 0};
        if (block* const old = std::exchange(block_, larger)) {
            for (; larger->size < old->size; ++larger->size) {
                std::construct_at(larger->slots() + larger->size, std::move(*old->slot(larger->size)));
                std::destroy_at(old->slot(larger->size));
            }
            release(old);
        }
    }
    static void release(block* old) noexcept {
        std::destroy_at(old);
        ::operator delete(old);
    }

    block* block_ = nullptr;
};

}  // namespace foz
