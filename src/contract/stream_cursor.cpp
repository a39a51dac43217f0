#include "contract/stream_cursor.hpp"

#include "base/planted.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <utility>

namespace foz::contract {
namespace {

attach_at at_offset(std::uint64_t offset) {
    return {.what = attach_at::kind::offset, .value = offset};
}

attach_at before(std::uint64_t offset, std::uint64_t entries) {
    return at_offset(offset - std::min(offset, entries));
}

}  // namespace

amqp::table stream_arguments(const attach_at& where) {
    amqp::table arguments;
    switch (where.what) {
        case attach_at::kind::first:
            arguments.set("x-stream-offset", "first");
            break;
        case attach_at::kind::next:
            arguments.set("x-stream-offset", "next");
            break;
        case attach_at::kind::offset:
            arguments.set("x-stream-offset", static_cast<std::int64_t>(std::min(where.value, stream_offset_max)));
            break;
        case attach_at::kind::time:
            arguments.set("x-stream-offset", amqp::timestamp{where.value});
            break;
    }
    return arguments;
}

stream_cursor::stream_cursor(stream_cursor_options options)
    : options_(std::move(options)),
      begin_(options_.begin),
      phase_(phase::catching_up),
      ids_(options_.ids_max),
      pause_(options_.silence_min),
      sign_pause_(options_.sign_silence_min),
      quiet_pause_(options_.quiet_min) {
    assert(!options_.marker_prefix.empty());
    assert(options_.silence_min.count() > 0 && options_.silence_min <= options_.silence_max);
    if (options_.history_entries == 0 || planted(bug::empty_after_restart) || begin_.what == attach_at::kind::first)
        return;
    if (begin_.what == attach_at::kind::offset) {
        history_end_ = begin_.value;
        begin_ = before(begin_.value, options_.history_entries);
    } else {
        phase_ = phase::locating;
    }
}

attach_at stream_cursor::where() const {
    if (probe_) return {.what = attach_at::kind::next};
    // Inclusive: the entry that was read last shows whether this is still the same stream.
    if (last_) return at_offset(last_->offset);
    return begin_;
}

void stream_cursor::attaching() {
    markers_before_ = markers_;
    hears_ = false;
    link_ = probe_ ? link::probing : where().what == attach_at::kind::offset ? link::proving : link::reading;
}

void stream_cursor::attached(steady_time now, std::vector<cursor_event>& out) {
    if (link_ == link::detached) return;  // what overtook the answer made it ask again
    const bool locates_end = phase_ == phase::locating && begin_.what == attach_at::kind::next;
    const bool wants_end = phase_ == phase::catching_up && !end_ && options_.marker_at_start;
    if (link_ == link::probing || locates_end || wants_end) publish_marker(out);
    arm(now);
}

void stream_cursor::lost() {
    // Whoever was looking for evidence asks at the old place first.
    if (link_ == link::probing) probe_ = false;
    link_ = link::detached;
    deadline_.reset();
    round_.since.reset();
}

void stream_cursor::delivered(const delivery_view& view, steady_time now, std::vector<cursor_event>& out) {
    switch (link_) {
        case link::detached:
            out.push_back({.what = kind::repeated});
            return;
        case link::probing:
            return probe(view, now, out);
        case link::proving:
            return prove(view, now, out);
        case link::reading:
            if (phase_ == phase::locating) return locate(view, out);
            if (last_ && view.at.offset <= last_->offset) {
                out.push_back({.what = kind::repeated});
                return;
            }
            if (last_ && view.at.offset > last_->offset + 1 && !(hole_end_ && view.at.offset <= *hole_end_) &&
                !planted(bug::hole_not_asked)) {
                hole_end_ = view.at.offset;
                out.push_back({.what = kind::repeated});
                return ask_again(out);
            }
            return accept(view, now, out);
    }
}

void stream_cursor::locate(const delivery_view& view, std::vector<cursor_event>& out) {
    out.push_back({.what = kind::repeated});
    if (begin_.what == attach_at::kind::next) {
        if (!is_ours(view)) return;
        end_ = view.at.offset;
    }
    history_end_ = view.at.offset;
    begin_ = before(view.at.offset, options_.history_entries);
    phase_ = phase::catching_up;
    ask_again(out);
}

void stream_cursor::probe(const delivery_view& view, steady_time now, std::vector<cursor_event>& out) {
    if (last_ && view.at.offset == last_->offset) {
        if (view.at != *last_) return recreate(view.at.offset, out);
        out.push_back({.what = kind::repeated});
        return believe(now, out);
    }
    const std::uint64_t known = last_ ? last_->offset : begin_.value;
    if (view.at.offset >= known) {
        // The stream goes beyond that place, so it has to say what is there.
        out.push_back({.what = kind::repeated});
        probe_ = false;
        return ask_again(out);
    }
    // Later than what was read, so it can't be before it.
    if (is_of_this_attaching(view)) return recreate(view.at.offset, out);
    out.push_back({.what = kind::repeated});
}

void stream_cursor::prove(const delivery_view& view, steady_time now, std::vector<cursor_event>& out) {
    if (!last_) {
        if (phase_ == phase::live) {
            believe(now, out);
        } else {
            link_ = link::reading;
        }
        return accept(view, now, out);
    }
    if (view.at.offset < last_->offset) {
        out.push_back({.what = kind::repeated});
        return;
    }
    if (view.at.offset == last_->offset) {
        if (view.at != *last_) return recreate(view.at.offset, out);
        out.push_back({.what = kind::repeated});
        return believe(now, out);
    }
    if (!planted(bug::retention_not_told)) out.push_back({.what = kind::gap, .why = cause::retention});
    believe(now, out);
    accept(view, now, out);
}

void stream_cursor::believe(steady_time now, std::vector<cursor_event>& out) {
    link_ = link::reading;
    probe_ = false;
    silences_ = 0;
    pause_ = options_.silence_min;
    out.push_back({.what = kind::proven});
    arm(now);
}

void stream_cursor::accept(const delivery_view& view, steady_time now, std::vector<cursor_event>& out) {
    const std::uint64_t here = view.at.offset;
    const auto reach_end = [&] {
        phase_ = phase::live;
        out.push_back({.what = kind::caught_up});
    };
    last_ = view.at;
    hole_end_.reset();
    silences_ = 0;
    pause_ = options_.silence_min;
    // The marker itself may have gone by now.
    if (phase_ == phase::catching_up && end_ && here > *end_) reach_end();
    const bool ours = is_ours(view);
    if (is_of_this_attaching(view)) {
        hears_ = true;
        sign_pause_ = options_.sign_silence_min;
    }
    if (!view.marker) quiet_pause_ = options_.quiet_min;
    cursor_event what{.what = kind::entry, .history = history_end_ && here < *history_end_};
    if (view.too_large || ours) {
        what.what = kind::skipped;
        what.why = view.too_large ? cause::too_large : cause::marker;
    } else if (view.repeatable && !view.message_id.empty() && !ids_.insert(view.message_id)) {
        what.what = kind::duplicate;
    }
    const bool history = what.history;
    out.push_back(std::move(what));
    if (phase_ == phase::catching_up && (end_ ? here == *end_ : ours)) reach_end();
    arm(now);
    if (phase_ == phase::catching_up && history && end_) count_history(view, now, out);
}

void stream_cursor::count_history(const delivery_view& view, steady_time now, std::vector<cursor_event>& out) {
    if (!round_.since) round_.since = now;
    round_.octets += view.octets;
    ++round_.entries;
    if (round_.octets <= options_.history_octets_max && now - *round_.since <= options_.history_time_max) return;
    const std::uint64_t left = *end_ - view.at.offset, read = round_.entries;
    round_ = {};
    if (left <= read) return;  // it ends soon
    begin_ = at_offset(*end_ - std::max(left / 4, read / 2));
    last_.reset();
    out.push_back({.what = kind::restarted});
    ask_again(out);
}

void stream_cursor::recreate(std::uint64_t evidence, std::vector<cursor_event>& out) {
    out.push_back({.what = kind::gap, .why = cause::recreated});
    last_.reset();
    probe_ = false;
    begin_ = before(evidence, options_.recreated_back);
    if (phase_ == phase::catching_up && end_) end_ = evidence;
    if (history_end_) history_end_ = phase_ == phase::live ? 0 : evidence;
    ask_again(out);
}

void stream_cursor::tick(steady_time now, std::vector<cursor_event>& out) {
    if (!deadline_ || now < *deadline_) return;
    ++silences_;
    pause_ = std::min(pause_ * 2, options_.silence_max);
    switch (link_) {
        case link::detached:
            deadline_.reset();
            return;
        case link::probing:
            probe_ = false;
            return ask_again(out);
        case link::proving:
            if (planted(bug::silence_is_recreation) && last_) return recreate(last_->offset + 1, out);
            probe_ = true;
            return ask_again(out);
        case link::reading:
            // The end may have been reached: a marker tells. A consumer that does not bring it is a stuck one.
            if (phase_ == phase::live && hears_) {
                quiet_pause_ = std::min(quiet_pause_ * 2, options_.quiet_max);
                hears_ = false;
                silences_ = 1;
            }
            if (silences_ % 2 == 0) {
                if (phase_ == phase::live) sign_pause_ = std::min(sign_pause_ * 2, options_.silence_max);
                return ask_again(out);
            }
            publish_marker(out);
            return arm(now);
    }
}

void stream_cursor::listen(steady_time now) {
    if (link_ != link::detached) arm(now);
}

void stream_cursor::ask_again(std::vector<cursor_event>& out) {
    link_ = link::detached;
    deadline_.reset();
    out.push_back({.what = kind::ask_again});
}

void stream_cursor::publish_marker(std::vector<cursor_event>& out) {
    out.push_back({.what = kind::publish_marker, .marker = options_.marker_prefix + "." + std::to_string(++markers_)});
}

bool stream_cursor::is_ours(const delivery_view& view) const {
    const std::string& prefix = options_.marker_prefix;
    return view.message_id.starts_with(prefix) && view.message_id.substr(prefix.size()).starts_with('.');
}

// A marker of our own that was published since the last attaching.
bool stream_cursor::is_of_this_attaching(const delivery_view& view) const {
    if (!is_ours(view)) return false;
    const std::string_view number = view.message_id.substr(options_.marker_prefix.size() + 1);
    std::uint64_t n = 0;
    std::from_chars(number.data(), number.data() + number.size(), n);
    return n > markers_before_;
}

void stream_cursor::arm(steady_time now) {
    if (phase_ != phase::live || link_ != link::reading) {
        deadline_ = now + pause_;
    } else {
        deadline_ = now + (hears_ ? quiet_pause_ : sign_pause_);
    }
}

}  // namespace foz::contract
