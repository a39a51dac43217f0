// Something that is mostly not needed, and costs a pointer then.
#pragma once

#include <memory>
#include <utility>

namespace foz {

// A T that is made when it is first needed; until then it counts as a T{}. For what few of very many objects have.
template <class T>
class seldom {
public:
    bool there() const noexcept { return value_ != nullptr; }
    // Made now, if need be.
    T& get() {
        if (!value_) value_ = std::make_unique<T>();
        return *value_;
    }
    // Null when it is not there.
    T* find() noexcept { return value_.get(); }
    const T* find() const noexcept { return value_.get(); }
    // Its value, or a T{}; it is not there afterwards.
    T take() {
        const auto taken = std::move(value_);
        return taken ? std::move(*taken) : T{};
    }
    void drop() noexcept { value_.reset(); }

private:
    std::unique_ptr<T> value_;
};

}  // namespace foz
