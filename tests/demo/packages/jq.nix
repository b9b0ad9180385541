# jq on Oniguruma, with a few of its own tests.
{ sh, cc, oniguruma, jq_source, ... }:
sh {
  name = "jq";
  path = [ cc ];
  script = ''
    tar xzf ${jq_source}
    cd jq-*
    echo '#define JQ_VERSION "1.6"' > src/version.h
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' src/builtin.jq > src/builtin.inc
    for name in ALLOCA_H ISATTY STRPTIME STRFTIME TIMEGM GMTIME_R LOCALTIME_R GMTIME MKTIME SETLOCALE MEMMEM \
      LIBONIG TM_TM_GMT_OFF FLOOR SQRT POW LOG EXP SIN COS TAN ROUND CEIL FABS LOG2 LOG10 EXP2 EXP10 TRUNC; do
      defines="$defines -DHAVE_$name=1"
    done
    for file in builtin bytecode compile execute jq_test jv jv_alloc jv_aux jv_dtoa jv_file jv_parse jv_print \
      jv_unicode lexer linker locfile parser util inject_errors main; do
      if test $file != inject_errors; then
        cc -O1 -std=gnu99 -D_GNU_SOURCE -DIEEE_8087=1 $defines -I. -Isrc -I${oniguruma}/include -c src/$file.c
      fi
    done
    mkdir -p $out/bin
    cc *.o ${oniguruma}/lib/libonig.a -lm -o $out/bin/jq
    $out/bin/jq --run-tests tests/onig.test
    test "$(echo '{"a":[1,2,3]}' | $out/bin/jq -c '.a | map(. * 2)')" = '[2,4,6]'
  '';
}
