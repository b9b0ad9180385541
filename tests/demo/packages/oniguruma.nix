# Oniguruma, the part of it that handles ASCII and UTF-8, which is what jq uses.
{ sh, cc, oniguruma_source, ... }:
let config = ../config/oniguruma.h;
in sh {
  name = "oniguruma";
  path = [ cc ];
  script = ''
    tar xzf ${oniguruma_source}
    cd oniguruma-*/src
    cp ${config} config.h
    for file in regparse regcomp regexec regenc regerror regext regsyntax regtrav regversion reggnu st unicode \
      unicode_unfold_key unicode_fold1_key unicode_fold2_key unicode_fold3_key onig_init ascii utf8; do
      cc -O1 -DHAVE_CONFIG_H -I. -c $file.c
    done
    mkdir -p $out/lib $out/include
    ${cc}/bin/ar rcs $out/lib/libonig.a *.o
    cp oniguruma.h oniggnu.h $out/include
  '';
}
