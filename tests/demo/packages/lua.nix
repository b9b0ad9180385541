# Lua with its own makefile; the interpreter has to compute something.
{ sh, cc, make, busybox, lua_source, ... }:
sh {
  name = "lua";
  path = [ make cc ];
  script = ''
    tar xzf ${lua_source}
    cd lua-*/src
    make SHELL=${busybox}/bin/sh CC=cc AR="${cc}/bin/ar rcu" RANLIB=${cc}/bin/ranlib SYSCFLAGS=-DLUA_USE_POSIX CFLAGS=-O1 a lua
    mkdir -p $out/bin $out/lib $out/include
    cp lua $out/bin
    cp liblua.a $out/lib
    cp lua.h luaconf.h lualib.h lauxlib.h $out/include
    test "$($out/bin/lua -e 'local s = 0 for i = 1, 100 do s = s + i * i end print(s)')" = 338350
  '';
}
