/* Stores lines of a file in a database, shaped by a Lua script and compressed by zlib, reads them back, and prints sums.
   usage: app delete|wal|mmap DATABASE SCRIPT FILE */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define ROWS 2000

static void need(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "app: %s\n", what);
        exit(1);
    }
}

static void run(sqlite3 *database, const char *statement) {
    char *message = NULL;
    need(sqlite3_exec(database, statement, NULL, NULL, &message) == SQLITE_OK, message ? message : statement);
}

static void store(sqlite3 *database, lua_State *lua, FILE *lines) {
    sqlite3_stmt *insert;
    char line[512];
    need(sqlite3_prepare_v2(database, "insert into rows values (?, ?, ?)", -1, &insert, NULL) == SQLITE_OK, "prepare");
    for (int number = 0; number < ROWS && fgets(line, sizeof line, lines); number++) {
        unsigned char packed[2048];
        uLongf size = sizeof packed;
        size_t length;
        line[strcspn(line, "\n")] = 0;
        lua_getglobal(lua, "row");
        lua_pushinteger(lua, number);
        lua_pushstring(lua, line);
        need(lua_pcall(lua, 2, 1, 0) == LUA_OK, "the script failed");
        const char *text = lua_tolstring(lua, -1, &length);
        need(compress(packed, &size, (const unsigned char *)text, length) == Z_OK, "compress");
        sqlite3_bind_int(insert, 1, number);
        sqlite3_bind_int(insert, 2, (int)length);
        sqlite3_bind_blob(insert, 3, packed, (int)size, SQLITE_TRANSIENT);
        need(sqlite3_step(insert) == SQLITE_DONE, sqlite3_errmsg(database));
        sqlite3_reset(insert);
        lua_pop(lua, 1);
    }
    sqlite3_finalize(insert);
}

static void sum(sqlite3 *database) {
    sqlite3_stmt *all;
    unsigned long rows = 0, bytes = 0, check = crc32(0, NULL, 0);
    need(sqlite3_prepare_v2(database, "select length, packed from rows order by id", -1, &all, NULL) == SQLITE_OK, "read");
    while (sqlite3_step(all) == SQLITE_ROW) {
        unsigned char text[2048];
        uLongf size = sizeof text;
        const unsigned char *packed = sqlite3_column_blob(all, 1);
        need(uncompress(text, &size, packed, sqlite3_column_bytes(all, 1)) == Z_OK, "uncompress");
        need((int)size == sqlite3_column_int(all, 0), "a row has another length");
        check = crc32(check, text, size);
        bytes += size;
        rows++;
    }
    sqlite3_finalize(all);
    printf("rows %lu bytes %lu crc %08lx\n", rows, bytes, check);
}

int main(int count, char **words) {
    sqlite3 *database;
    need(count == 5, "usage: app delete|wal|mmap DATABASE SCRIPT FILE");
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    need(luaL_dofile(lua, words[3]) == LUA_OK, "cannot load the script");
    FILE *lines = fopen(words[4], "r");
    need(lines != NULL, "cannot open the file");
    need(sqlite3_open(words[2], &database) == SQLITE_OK, "cannot open the database");
    if (strcmp(words[1], "mmap") == 0) {
        run(database, "pragma mmap_size = 67108864");
    } else if (strcmp(words[1], "wal") == 0) {
        run(database, "pragma journal_mode = wal");
    }
    run(database, "create table rows (id integer primary key, length integer, packed blob)");
    for (int part = 0; part < 4; part++) {
        run(database, "begin");
        if (part == 0) {
            store(database, lua, lines);
        } else {
            run(database, part == 1 ? "create index by_length on rows (length)"
                        : part == 2 ? "delete from rows where id % 7 = 3"
                                    : "update rows set length = length where id % 2 = 0");
        }
        run(database, "commit");
    }
    run(database, "pragma integrity_check");
    sum(database);
    need(sqlite3_close(database) == SQLITE_OK, "the database does not close");
    lua_close(lua);
    return 0;
}
