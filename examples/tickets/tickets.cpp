#include "tickets.hpp"

#include "base/json.hpp"
#include "common/fields.hpp"
#include "service/worker.hpp"
#include "sqlite.hpp"

#include <charconv>
#include <chrono>
#include <string>

namespace tickets {
namespace {

using examples::fields;
using examples::refuse;
using foz::json_string;
using foz::service::request;

constexpr std::size_t title_bytes_max = 200;
constexpr std::size_t text_bytes_max = 4'000;
constexpr std::size_t name_bytes_max = 64;
constexpr std::int64_t listed_max = 100;

std::int64_t now_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string id_of(std::int64_t number) {
    return "T-" + std::to_string(number);
}

// "T-12" or "t-12".
std::int64_t number_of(const std::string& id) {
    std::int64_t number = 0;
    const char* const end = id.data() + id.size();
    const bool prefixed = id.size() > 2 && (id[0] == 'T' || id[0] == 't') && id[1] == '-';
    const auto parsed = prefixed ? std::from_chars(id.data() + 2, end, number) : std::from_chars_result{end, {}};
    if (!prefixed || parsed.ec != std::errc() || parsed.ptr != end)
        throw foz::service::error("no_such_ticket", "there is no ticket " + id);
    return number;
}

std::string comments_of(sqlite3* db, std::int64_t number) {
    std::string json;
    statement rows(db, "SELECT by, name, text, at FROM comments WHERE ticket = ? ORDER BY rowid");
    rows.bind(number);
    while (rows.step()) {
        if (!json.empty()) json += ',';
        json += "{\"by\":" + json_string(rows.text(0)) + ",\"name\":" + json_string(rows.text(1)) +
                ",\"text\":" + json_string(rows.text(2)) + ",\"at\":" + std::to_string(rows.number(3)) + "}";
    }
    return json;
}

// Of a row of number, title, state, opened_by, name, assignee: the ticket without its last brace.
std::string ticket_of(const statement& row) {
    return "{\"id\":" + json_string(id_of(row.number(0))) + ",\"title\":" + json_string(row.text(1)) +
           ",\"state\":" + json_string(row.text(2)) + ",\"opened_by\":" + json_string(row.text(3)) +
           ",\"name\":" + json_string(row.text(4)) +
           ",\"assignee\":" + (row.is_null(5) ? std::string("null") : json_string(row.text(5)));
}

std::string load(sqlite3* db, std::int64_t number) {
    statement row(db, "SELECT number, title, state, opened_by, name, assignee FROM tickets WHERE number = ?");
    row.bind(number);
    if (!row.step()) throw foz::service::error("no_such_ticket", "there is no ticket " + id_of(number));
    return ticket_of(row) + ",\"comments\":[" + comments_of(db, number) + "]}";
}

void require_open(sqlite3* db, std::int64_t number) {
    statement row(db, "SELECT state FROM tickets WHERE number = ?");
    row.bind(number);
    if (!row.step()) throw foz::service::error("no_such_ticket", "there is no ticket " + id_of(number));
    if (row.text(0) != "open") throw foz::service::error("ticket_closed", id_of(number) + " is closed");
}

void add_comment(sqlite3* db, std::int64_t number, const request& r, const std::string& name, const std::string& text) {
    statement insert(db, "INSERT INTO comments (ticket, by, name, text, at) VALUES (?, ?, ?, ?, ?)");
    insert.bind(number).bind(r.client()).bind(name).bind(text).bind(now_ms()).step();
}

// Everyone hears what became of the ticket, and the caller gets it.
void tell(request& r, sqlite3* db, std::int64_t number, const char* type) {
    const std::string ticket = load(db, number);
    r.broadcast("{\"ticket\":" + ticket + ",\"by\":" + json_string(r.client()) + "}",
                {.topic = "ticket.t-" + std::to_string(number), .type = type});
    r.reply("{\"ticket\":" + ticket + "}");
}

void open(request& r, sqlite3* db) {
    fields in(r.message());
    const std::string title = in.required("title", title_bytes_max);
    const std::string text = in.optional("text", text_bytes_max);
    const std::string name = in.optional("name", name_bytes_max);
    statement insert(db, "INSERT INTO tickets (title, state, opened_by, name) VALUES (?, 'open', ?, ?)");
    insert.bind(title).bind(r.client()).bind(name).step();
    const std::int64_t number = sqlite3_last_insert_rowid(db);
    if (!text.empty()) add_comment(db, number, r, name, text);
    tell(r, db, number, "opened");
}

void list(request& r, sqlite3* db) {
    fields in(r.message());
    const std::string state = in.optional("state", 10);
    if (!state.empty() && state != "open" && state != "closed") refuse("state: open or closed is expected");
    statement rows(db,
                   "SELECT number, title, state, opened_by, name, assignee FROM tickets WHERE ?1 = '' OR state = ?1 "
                   "ORDER BY number DESC LIMIT ?2");
    rows.bind(state).bind(listed_max);
    std::string json;
    while (rows.step()) json += (json.empty() ? "" : ",") + ticket_of(rows) + "}";
    r.reply("{\"tickets\":[" + json + "]}");
}

void get(request& r, sqlite3* db) {
    fields in(r.message());
    r.reply("{\"ticket\":" + load(db, number_of(in.required("id", name_bytes_max))) + "}");
}

void assign(request& r, sqlite3* db) {
    fields in(r.message());
    const std::int64_t number = number_of(in.required("id", name_bytes_max));
    const std::string to = in.required("to", name_bytes_max);
    require_open(db, number);
    statement(db, "UPDATE tickets SET assignee = ? WHERE number = ?").bind(to).bind(number).step();
    tell(r, db, number, "assigned");
}

void comment(request& r, sqlite3* db) {
    fields in(r.message());
    const std::int64_t number = number_of(in.required("id", name_bytes_max));
    const std::string text = in.required("text", text_bytes_max);
    const std::string name = in.optional("name", name_bytes_max);
    require_open(db, number);
    add_comment(db, number, r, name, text);
    tell(r, db, number, "commented");
}

void close(request& r, sqlite3* db) {
    fields in(r.message());
    const std::int64_t number = number_of(in.required("id", name_bytes_max));
    require_open(db, number);
    statement(db, "UPDATE tickets SET state = 'closed' WHERE number = ?").bind(number).step();
    tell(r, db, number, "closed");
}

}  // namespace

void make_tables(sqlite3* database) {
    statement(database,
              "CREATE TABLE IF NOT EXISTS tickets (number INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, "
              "state TEXT NOT NULL, opened_by TEXT NOT NULL, name TEXT NOT NULL, assignee TEXT)")
        .step();
    statement(database,
              "CREATE TABLE IF NOT EXISTS comments (ticket INTEGER NOT NULL, by TEXT NOT NULL, name TEXT NOT NULL, "
              "text TEXT NOT NULL, at INTEGER NOT NULL)")
        .step();
    statement(database, "CREATE INDEX IF NOT EXISTS comments_of ON comments (ticket)").step();
}

void add_handlers(foz::service::worker& worker, sqlite3* database) {
    const auto add = [&](const char* type, void (*handle)(request&, sqlite3*)) {
        worker.on("tickets", type, [handle, database](request& r) { handle(r, database); });
    };
    add("open", open);
    add("list", list);
    add("get", get);
    add("assign", assign);
    add("comment", comment);
    add("close", close);
}

}  // namespace tickets
