# bzip2 with its own makefile and its own comparison of compressed samples.
{ sh, cc, make, busybox, bzip2_source, ... }:
sh {
  name = "bzip2";
  path = [ make cc ];
  script = ''
    tar xzf ${bzip2_source}
    cd bzip2-*
    make SHELL=${busybox}/bin/sh CC=cc AR=${cc}/bin/ar RANLIB=${cc}/bin/ranlib CFLAGS=-O1 libbz2.a bzip2 bzip2recover
    for level in 1 2; do
      ./bzip2 -$level < sample$level.ref > sample$level.rb2
      cmp sample$level.bz2 sample$level.rb2
      ./bzip2 -d < sample$level.bz2 > sample$level.tst
      cmp sample$level.tst sample$level.ref
    done
    mkdir -p $out/bin $out/lib $out/include
    cp bzip2 bzip2recover $out/bin
    ln -s bzip2 $out/bin/bunzip2
    ln $out/bin/bzip2 $out/bin/bzcat
    cp libbz2.a $out/lib
    cp bzlib.h $out/include
  '';
}
