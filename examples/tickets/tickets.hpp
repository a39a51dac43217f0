// The business logic of the ticket service.
#pragma once

struct sqlite3;

namespace foz::service {
class worker;
}

namespace tickets {

// The tables, when they are not there.
void make_tables(sqlite3* database);

// Adds the handlers of channel "tickets". They use the database within the transaction of the worker's dedupe store:
// a ticket and the memory of the message that opened it are committed together, so each message has its effect once.
void add_handlers(foz::service::worker& worker, sqlite3* database);

}  // namespace tickets
