// The table of queues.
#pragma once

#include "cli/top/line.hpp"
#include "cli/top/picture.hpp"
#include "cli/top/view.hpp"

#include <cstddef>
#include <vector>

namespace foz::cli::top {

class queue_table {
public:
    // Which columns there are depends on the width: those that say least are left out first.
    queue_table(const std::vector<queue_row>& queues, const choices& chosen, const frame& within);

    line heading() const;
    std::size_t size() const noexcept { return order_.size(); }
    // In the chosen order.
    line row(std::size_t index) const;

private:
    struct column;
    static const std::vector<column>& all_columns();

    void choose_columns(const frame& within);
    void sort();

    const std::vector<queue_row>& queues_;
    const choices chosen_;
    std::vector<const column*> shown_;
    std::vector<const queue_row*> order_;
    std::size_t name_width_ = 0;
    std::size_t vhost_width_ = 0;  // 0: there is only one
    std::size_t width_ = 0;
};

}  // namespace foz::cli::top
