# libpng on zlib, with its own test on its own picture.
{ sh, cc, zlib, libpng_source, ... }:
sh {
  name = "libpng";
  path = [ cc ];
  script = ''
    tar xzf ${libpng_source}
    cd libpng-*
    cp scripts/pnglibconf.h.prebuilt pnglibconf.h
    for file in png pngerror pngget pngmem pngpread pngread pngrio pngrtran pngrutil pngset pngtrans pngwio pngwrite \
      pngwtran pngwutil; do
      cc -O1 -I. -I${zlib.dev}/include -c $file.c
    done
    mkdir -p $out/lib $out/include
    ${cc}/bin/ar rcs $out/lib/libpng.a png*.o
    cp png.h pngconf.h pnglibconf.h $out/include
    cc -O1 -I. -I${zlib.dev}/include pngtest.c $out/lib/libpng.a ${zlib.static}/lib/libz.a -lm -o pngtest
    ./pngtest pngtest.png
    # What links with it needs to know where the rest is.
    echo "-L$out/lib -lpng -L${zlib.static}/lib -lz -lm" > $out/lib/link
  '';
}
