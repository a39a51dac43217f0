// A prepared statement that is used once.
#pragma once

#include <cstdint>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tickets {

class statement {
public:
    statement(sqlite3* database, std::string_view sql) : database_(database) {
        if (sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &handle_, nullptr) != SQLITE_OK)
            fail();
    }
    ~statement() { sqlite3_finalize(handle_); }
    statement(const statement&) = delete;
    statement& operator=(const statement&) = delete;

    // Parameters in their order; text is copied.
    statement& bind(std::string_view text) {
        check(sqlite3_bind_text(handle_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
        return *this;
    }
    statement& bind(std::int64_t number) {
        check(sqlite3_bind_int64(handle_, ++bound_, number));
        return *this;
    }
    // True: there is a row.
    bool step() {
        const int result = sqlite3_step(handle_);
        if (result != SQLITE_ROW && result != SQLITE_DONE) fail();
        return result == SQLITE_ROW;
    }

    // Of the row, from column 0.
    std::string text(int column) const {
        const auto* const data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
        return data ? std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)))
                    : std::string();
    }
    std::int64_t number(int column) const { return sqlite3_column_int64(handle_, column); }
    bool is_null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }

private:
    void check(int result) {
        if (result != SQLITE_OK) fail();
    }
    [[noreturn]] void fail() { throw std::runtime_error(std::string("SQLite: ") + sqlite3_errmsg(database_)); }

    sqlite3* const database_;
    sqlite3_stmt* handle_ = nullptr;
    int bound_ = 0;
};

}  // namespace tickets
