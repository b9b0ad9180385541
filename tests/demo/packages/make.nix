# GNU make, with a configuration for musl written by hand: its configure script would need autoconf first.
{ sh, cc, make_source, ... }:
let config = ../config/make.h;
in sh {
  name = "make";
  path = [ cc ];
  script = ''
    tar xzf ${make_source}
    cd make-dfsg-*
    cp ${config} src/config.h
    cp lib/glob.in.h lib/glob.h
    cp lib/fnmatch.in.h lib/fnmatch.h
    for file in ar arscan commands default dir expand file function getopt getopt1 guile hash implicit job load \
      loadapi main misc output posixos read remake remote-stub rule signame strcache variable version vpath; do
      files="$files src/$file.c"
    done
    for file in $files lib/glob.c lib/fnmatch.c; do
      cc -std=gnu99 -O1 -DHAVE_CONFIG_H '-DLIBDIR="/lib"' '-DINCLUDEDIR="/include"' '-DLOCALEDIR="/locale"' \
        -Isrc -Ilib -c $file
    done
    mkdir -p $out/bin
    cc *.o -o $out/bin/make
    $out/bin/make --version
  '';
}
