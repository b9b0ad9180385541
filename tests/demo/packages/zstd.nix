# zstd with gzip support from zlib; it has to bring the corpus through both formats unchanged.
{ sh, cc, zlib, corpus, zstd_source, ... }:
sh {
  name = "zstd";
  path = [ cc ];
  script = ''
    tar xJf ${zstd_source}
    cd zstd-*
    for file in lib/common/*.c lib/compress/*.c lib/decompress/*.c \
      programs/zstdcli.c programs/util.c programs/timefn.c programs/fileio.c programs/fileio_asyncio.c; do
      cc -O1 -DZSTD_DISABLE_ASM=1 -DZSTD_NOBENCH -DZSTD_NODICT -DZSTD_NOTRACE -DZSTD_GZCOMPRESS -DZSTD_GZDECOMPRESS \
        -Ilib -Ilib/common -I${zlib.dev}/include -c $file
    done
    mkdir -p $out/bin
    cc *.o ${zlib.static}/lib/libz.a -o $out/bin/zstd
    for format in zstd gzip; do
      $out/bin/zstd -q --format=$format -c ${corpus} > corpus.$format
      $out/bin/zstd -q -d -c corpus.$format | cmp - ${corpus}
    done
    gzip -d -c < corpus.gzip | cmp - ${corpus}
  '';
}
