# A program on SQLite, zlib and Lua, run in three of SQLite's ways to keep a database.
{ sh, cc, zlib, lua, sqlite, corpus, ... }:
let source = ../app;
in sh {
  name = "app";
  path = [ cc ];
  script = ''
    mkdir -p $out/bin $out/share
    cc -O1 -I${sqlite}/include -I${zlib.dev}/include -I${lua}/include ${source}/app.c \
      ${sqlite}/lib/libsqlite3.a ${zlib.static}/lib/libz.a ${lua}/lib/liblua.a -lm -o $out/bin/app
    for mode in delete wal mmap; do
      $out/bin/app $mode $mode.db ${source}/rows.lua ${corpus} > $mode.txt
      cmp delete.txt $mode.txt
    done
    cp delete.txt $out/share/summary
  '';
}
