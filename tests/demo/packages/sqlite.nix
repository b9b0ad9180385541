# SQLite, one file of nine megabytes. Not optimised: this is about files, not about the compiler.
{ sh, cc, sqlite_source, ... }:
sh {
  name = "sqlite";
  path = [ cc ];
  script = ''
    cc -O0 -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_DEFAULT_MMAP_SIZE=0 \
      -c ${sqlite_source}/sqlite3.c -o sqlite3.o
    mkdir -p $out/lib $out/include
    ${cc}/bin/ar rcs $out/lib/libsqlite3.a sqlite3.o
    cp ${sqlite_source}/sqlite3.h $out/include
  '';
}
