# zlib with its own configure and makefile, its own tests, and three outputs.
{ sh, cc, make, busybox, zlib_source, ... }:
sh {
  name = "zlib";
  outputs = [ "out" "dev" "static" ];
  path = [ make cc ];
  script = ''
    tar xjf ${zlib_source}
    cd zlib-*
    CC=cc AR=${cc}/bin/ar RANLIB=${cc}/bin/ranlib CFLAGS=-O1 sh ./configure --static \
      --prefix=$out --libdir=$static/lib --includedir=$dev/include
    make SHELL=${busybox}/bin/sh AR=${cc}/bin/ar RANLIB=${cc}/bin/ranlib test
    mkdir -p $out/bin $dev/include $dev/lib/pkgconfig $static/lib
    cp minigzip $out/bin
    cp zlib.h zconf.h $dev/include
    cp zlib.pc $dev/lib/pkgconfig
    cp libz.a $static/lib
  '';
}
